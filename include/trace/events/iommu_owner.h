/* SPDX-License-Identifier: GPL-2.0-only */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM iommu_owner

#if !defined(_TRACE_IOMMU_OWNER_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_IOMMU_OWNER_H

#include <linux/iommu-owner.h>
#include <linux/tracepoint.h>

TRACE_DEFINE_ENUM(IOMMU_OWNER_STATE_KERNEL);
TRACE_DEFINE_ENUM(IOMMU_OWNER_STATE_PRIVATE);
TRACE_DEFINE_ENUM(IOMMU_OWNER_STATE_USER);
TRACE_DEFINE_ENUM(IOMMU_OWNER_STATE_RESERVED);
TRACE_DEFINE_ENUM(IOMMU_OWNER_STATE_ENDING);
TRACE_DEFINE_ENUM(IOMMU_OWNER_STATE_QUARANTINE);
TRACE_DEFINE_ENUM(IOMMU_OWNER_STATE_BLOCKED);

TRACE_DEFINE_ENUM(IOMMU_OWNER_ISO_TRANSLATED);
TRACE_DEFINE_ENUM(IOMMU_OWNER_ISO_NO_DIRECT);
TRACE_DEFINE_ENUM(IOMMU_OWNER_ISO_ISOLATED_MSI);
TRACE_DEFINE_ENUM(IOMMU_OWNER_ISO_ACS);
TRACE_DEFINE_ENUM(IOMMU_OWNER_ISO_NO_SIBLING);
TRACE_DEFINE_ENUM(IOMMU_OWNER_ISO_STRICT);
TRACE_DEFINE_ENUM(IOMMU_OWNER_ISO_ATS);
TRACE_DEFINE_ENUM(IOMMU_OWNER_ISO_SNOOP);
TRACE_DEFINE_ENUM(IOMMU_OWNER_ISO_NO_FOREIGN_PASID);

TRACE_DEFINE_ENUM(IOMMU_OWNER_EVENT_PASID_ALLOCATED);
TRACE_DEFINE_ENUM(IOMMU_OWNER_EVENT_PASID_BOUND);
TRACE_DEFINE_ENUM(IOMMU_OWNER_EVENT_PASID_UNBOUND);
TRACE_DEFINE_ENUM(IOMMU_OWNER_EVENT_PASID_FREE_PENDING);
TRACE_DEFINE_ENUM(IOMMU_OWNER_EVENT_PASID_FREED);

#define show_iommu_owner_state(state)				\
	__print_symbolic(state,					\
		{ IOMMU_OWNER_STATE_KERNEL,		"kernel" },	\
		{ IOMMU_OWNER_STATE_PRIVATE,		"private" },	\
		{ IOMMU_OWNER_STATE_USER,		"user" },	\
		{ IOMMU_OWNER_STATE_RESERVED,		"reserved" },	\
		{ IOMMU_OWNER_STATE_ENDING,		"ending" },	\
		{ IOMMU_OWNER_STATE_QUARANTINE,	"quarantine" },		\
		{ IOMMU_OWNER_STATE_BLOCKED,	"blocked" })

/* claims: number of claims that the owner has after the event */
DECLARE_EVENT_CLASS(iommu_owner_group_class,
	TP_PROTO(int group, const char *owner, enum iommu_owner_state state,
		 unsigned int claims, u64 generation),
	TP_ARGS(group, owner, state, claims, generation),
	TP_STRUCT__entry(
		__field(int, group)
		__field(int, state)
		__field(unsigned int, claims)
		__field(u64, generation)
		__string(owner, owner)
	),
	TP_fast_assign(
		__entry->group = group;
		__entry->state = state;
		__entry->claims = claims;
		__entry->generation = generation;
		__assign_str(owner);
	),
	TP_printk("group=%d owner=%s state=%s claims=%u generation=%llu",
		  __entry->group, __get_str(owner),
		  show_iommu_owner_state(__entry->state), __entry->claims,
		  __entry->generation)
);

#define DEFINE_IOMMU_OWNER_GROUP_EVENT(name)				\
DEFINE_EVENT(iommu_owner_group_class, name,				\
	TP_PROTO(int group, const char *owner, enum iommu_owner_state state, \
		 unsigned int claims, u64 generation),			\
	TP_ARGS(group, owner, state, claims, generation))

DEFINE_IOMMU_OWNER_GROUP_EVENT(iommu_owner_claim);
DEFINE_IOMMU_OWNER_GROUP_EVENT(iommu_owner_release);

/* device: the one that was refused a driver, empty for a refused claim */
TRACE_EVENT(iommu_owner_refuse,
	TP_PROTO(int group, const char *device, const char *who,
		 enum iommu_owner_state state, const char *holder, int pid),
	TP_ARGS(group, device, who, state, holder, pid),
	TP_STRUCT__entry(
		__field(int, group)
		__field(int, state)
		__field(int, pid)
		__string(device, device)
		__string(who, who)
		__string(holder, holder)
	),
	TP_fast_assign(
		__entry->group = group;
		__entry->state = state;
		__entry->pid = pid;
		__assign_str(device);
		__assign_str(who);
		__assign_str(holder);
	),
	TP_printk("group=%d device=%s who=%s state=%s holder=%s pid=%d",
		  __entry->group, __get_str(device), __get_str(who),
		  show_iommu_owner_state(__entry->state), __get_str(holder),
		  __entry->pid)
);

#define show_iommu_owner_isolation(bits)				\
	__print_flags(bits, " ",					\
		{ IOMMU_OWNER_ISO_TRANSLATED,		"translated" },	\
		{ IOMMU_OWNER_ISO_NO_DIRECT,		"no-direct" },	\
		{ IOMMU_OWNER_ISO_ISOLATED_MSI,		"isolated-msi" }, \
		{ IOMMU_OWNER_ISO_ACS,			"acs" },	\
		{ IOMMU_OWNER_ISO_NO_SIBLING,		"no-sibling" },	\
		{ IOMMU_OWNER_ISO_STRICT,		"strict" },	\
		{ IOMMU_OWNER_ISO_ATS,			"ats" },	\
		{ IOMMU_OWNER_ISO_SNOOP,		"snoop" },	\
		{ IOMMU_OWNER_ISO_NO_FOREIGN_PASID,	"no-foreign-pasid" })

/* old: what this event reported of the group before, nothing the first time */
TRACE_EVENT(iommu_owner_isolation,
	TP_PROTO(int group, u32 old, u32 new, u64 generation),
	TP_ARGS(group, old, new, generation),
	TP_STRUCT__entry(
		__field(int, group)
		__field(u32, old)
		__field(u32, new)
		__field(u64, generation)
	),
	TP_fast_assign(
		__entry->group = group;
		__entry->old = old;
		__entry->new = new;
		__entry->generation = generation;
	),
	TP_printk("group=%d old=(%s) new=(%s) generation=%llu",
		  __entry->group, show_iommu_owner_isolation(__entry->old),
		  show_iommu_owner_isolation(__entry->new),
		  __entry->generation)
);

/* path: the access path of the host; holder_pid: the process that claimed */
TRACE_EVENT(iommu_owner_access,
	TP_PROTO(int group, const char *device, const char *path,
		 const char *comm, int pid, bool refused,
		 enum iommu_owner_state state, const char *holder,
		 int holder_pid),
	TP_ARGS(group, device, path, comm, pid, refused, state, holder,
		holder_pid),
	TP_STRUCT__entry(
		__field(int, group)
		__field(int, pid)
		__field(int, state)
		__field(int, holder_pid)
		__field(bool, refused)
		__string(device, device)
		__string(path, path)
		__string(comm, comm)
		__string(holder, holder)
	),
	TP_fast_assign(
		__entry->group = group;
		__entry->pid = pid;
		__entry->state = state;
		__entry->holder_pid = holder_pid;
		__entry->refused = refused;
		__assign_str(device);
		__assign_str(path);
		__assign_str(comm);
		__assign_str(holder);
	),
	TP_printk("group=%d device=%s path=%s comm=%s pid=%d refused=%d state=%s holder=%s holder_pid=%d",
		  __entry->group, __get_str(device), __get_str(path),
		  __get_str(comm), __entry->pid, __entry->refused,
		  show_iommu_owner_state(__entry->state), __get_str(holder),
		  __entry->holder_pid)
);

#define show_iommu_owner_pasid(event)				\
	__print_symbolic(event,					\
		{ IOMMU_OWNER_EVENT_PASID_ALLOCATED,	"allocated" },	\
		{ IOMMU_OWNER_EVENT_PASID_BOUND,	"bound" },	\
		{ IOMMU_OWNER_EVENT_PASID_UNBOUND,	"unbound" },	\
		{ IOMMU_OWNER_EVENT_PASID_FREE_PENDING,	"free-pending" }, \
		{ IOMMU_OWNER_EVENT_PASID_FREED,	"freed" })

/* device: the one that may load it or not, or empty; refs: references to the PASID */
TRACE_EVENT(iommu_owner_pasid,
	TP_PROTO(u32 pasid, const char *owner, unsigned int event,
		 const char *device, unsigned int refs),
	TP_ARGS(pasid, owner, event, device, refs),
	TP_STRUCT__entry(
		__field(u32, pasid)
		__field(unsigned int, event)
		__field(unsigned int, refs)
		__string(owner, owner)
		__string(device, device)
	),
	TP_fast_assign(
		__entry->pasid = pasid;
		__entry->event = event;
		__entry->refs = refs;
		__assign_str(owner);
		__assign_str(device);
	),
	TP_printk("pasid=%u owner=%s event=%s device=%s refs=%u",
		  __entry->pasid, __get_str(owner),
		  show_iommu_owner_pasid(__entry->event), __get_str(device),
		  __entry->refs)
);

#endif /* _TRACE_IOMMU_OWNER_H */

/* This part must be outside protection */
#include <trace/define_trace.h>
