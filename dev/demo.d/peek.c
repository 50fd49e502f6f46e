// SPDX-License-Identifier: GPL-2.0
/*
 * Map the BAR of a device, and print a register of it now and for each line that
 * is read: peek FILE OFFSET
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE	4096

static void on_sigbus(int number)
{
	static const char text[] = "peek: Bus error\n";

	(void)!write(STDOUT_FILENO, text, sizeof(text) - 1);
	_exit(128 + number);
}

int main(int argc, char *argv[])
{
	volatile uint32_t *page;
	unsigned long offset;
	char line[16];
	int fd;

	if (argc != 3) {
		fprintf(stderr, "usage: peek FILE OFFSET\n");
		return 2;
	}
	offset = strtoul(argv[2], NULL, 0) % PAGE;
	fd = open(argv[1], O_RDWR);
	page = fd < 0 ? MAP_FAILED : mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
					  MAP_SHARED, fd, 0);
	if (page == MAP_FAILED) {
		fprintf(stderr, "peek: %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	signal(SIGBUS, on_sigbus);
	setlinebuf(stdout);
	do {
		printf("peek: register 0x%lx is 0x%08x\n", offset,
		       page[offset / sizeof(*page)]);
	} while (fgets(line, sizeof(line), stdin));
	return 0;
}
