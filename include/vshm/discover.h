/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is there: the regions of this host and the devices of this guest that hold one or could, what is missing to use them,
 * and how to mend it; and who comes and goes.
 *
 * A library of its own, libvshm-discover. Its sources are BSD-3-Clause, but it links libpci, which is GPL-2.0-or-later: a program
 * that links it is a whole under the GPL. A program that knows the URI of its region needs libvshm alone.
 *
 * Nothing is changed and no slot is taken. To read the name of a region in a device, the device is opened for a moment, with the
 * driver that it has: where the memory of a device is switched off, it is on for that long, and VFIO, which gives a device to one
 * process at a time, refuses others. Calls are independent of each other; a monitor is for one thread at a time.
 */
#ifndef VSHM_DISCOVER_H
#define VSHM_DISCOVER_H

#include <vshm/types.h>

VSHM_BEGIN_DECLS

/* ---- what is found ---- */

enum vshm_found_kind {
	VSHM_FOUND_REGION = 1,	 /* of the host: a file or directory, or a name under /run/vshm */
	VSHM_FOUND_SERVER = 2,	 /* of the host: the socket of an ivshmem server under /run/vshm */
	VSHM_FOUND_IVSHMEM = 3,	 /* of a guest: a PCI device 1af4:1110 (QEMU, ACRN, cloud-hypervisor) */
	VSHM_FOUND_IVSHMEM2 = 4, /* of a guest: a PCI device 110a:4106, version 2 (Jailhouse) */
	VSHM_FOUND_UIO = 5,	 /* of a guest: a platform device that UIO gives to programs */
	VSHM_FOUND_DAX = 6,	 /* a DAX device: NVDIMM, virtio-pmem, CXL */
};

/* Ways into a device: which would work now, for this user. */
#define VSHM_FOUND_SYSFS 1u /* mapped from sysfs: can ring others, and is rung by nobody */
#define VSHM_FOUND_UIO_WAY 2u
#define VSHM_FOUND_VFIO 4u /* interrupts, if the device has any */

#define VSHM_FOUND_REGISTERED 1u /* under /run/vshm */
#define VSHM_FOUND_UNREADABLE 2u /* a region of somebody else: not for this user, which does not make it broken */
#define VSHM_FOUND_LISTENS 4u	 /* server: one lives there; it hears nothing of being looked at */
#define VSHM_FOUND_MEMORY_ON 8u	 /* PCI: the device answers to accesses to its memory */
#define VSHM_FOUND_CONFIG 16u	 /* PCI: `vectors` is known; else only root may read it */
#define VSHM_FOUND_SEGMENT 32u	 /* PCI: the memory of one peer of a split region; `uri` names all its devices */
#define VSHM_FOUND_DOORBELL 64u	 /* PCI: `uri` of a split region names it as its doorbell; its own memory does not matter */

#define VSHM_FOUND_URI_SIZE 4200
#define VSHM_FOUND_NODE_SIZE 64
#define VSHM_FOUND_DRIVER_SIZE 64
#define VSHM_FOUND_MODEL_SIZE 80
#define VSHM_FOUND_HOLDERS 8

struct vshm_holder {
	uint32_t pid;
	char command[16];
};

struct vshm_found {
	size_t struct_size;
	enum vshm_found_kind kind;
	uint32_t flags; /* VSHM_FOUND_REGISTERED … VSHM_FOUND_CONFIG */
	uint32_t ways;	/* VSHM_FOUND_SYSFS, …_UIO_WAY, …_VFIO; 0: not a device, or none */
	int error;	/* 0: `region` was read; else why not: a code of error.h */
	char why[VSHM_WHY_SIZE];       /* in words; empty without an error */
	char uri[VSHM_FOUND_URI_SIZE]; /* for vshm_region_open(); empty: this version cannot open it */
	char name[VSHM_NAME_SIZE];     /* as registered, else as the region itself says, else empty */
	char place[VSHM_FOUND_URI_SIZE]; /* "0000:00:05.0", "uio0", "dax0.0", or a path; the same at each look */
	char node[VSHM_FOUND_NODE_SIZE];     /* "/dev/vfio/3", "/dev/uio0"; empty: no device node */
	char driver[VSHM_FOUND_DRIVER_SIZE]; /* that it is bound to; empty: none */
	char model[VSHM_FOUND_MODEL_SIZE];   /* in words: "ivshmem-doorbell", "ACRN ivshmem, region 3" */
	uint64_t size;			     /* of the region, else of the memory it could be in; 0: not known */
	/* region, when error is 0 */
	uint8_t uuid[16];
	uint32_t profile; /* enum vshm_profile in layout.h */
	uint32_t peers, live;
	vshm_peer peer; /* with VSHM_FOUND_SEGMENT: whose segment it is */
	/* PCI */
	uint16_t vendor, device, subsystem_vendor, subsystem;
	uint32_t protocol;   /* IVSHMEM2: what its class says, 0 .. 0xffff */
	uint32_t vectors;    /* of MSI-X; 0: a plain device, or not known (VSHM_FOUND_CONFIG) */
	int32_t iommu_group; /* -1: none */
	/* with VSHM_DISCOVER_HOLDERS; only those whose descriptors this user may see */
	uint32_t holders; /* how many, VSHM_FOUND_HOLDERS of them in `holder` */
	struct vshm_holder holder[VSHM_FOUND_HOLDERS];
	/* of a device that vfio-pci has: why VFIO does not open it, so that sysfs is the way in; empty: it does, or was not asked */
	char because[VSHM_WHY_SIZE];
};

/* Receives a thing that was found, valid during the call. */
typedef void (*vshm_found_fn)(void *arg, const struct vshm_found *found);

#define VSHM_DISCOVER_GUARD 1u	 /* as VSHM_OPEN_GUARD: memory that vanishes meanwhile is no crash */
#define VSHM_DISCOVER_SHALLOW 2u /* opens nothing: names, places and devices, but not what is in them */
#define VSHM_DISCOVER_HOLDERS 4u /* looks through /proc for who has each thing open */

struct vshm_discover_options {
	size_t struct_size;
	uint32_t flags; /* VSHM_DISCOVER_… */
	uint32_t kinds; /* a bit 1 << kind for each enum vshm_found_kind; 0: all */
	const char *also; /* a file: URI or path that is looked at as a region wherever it lies, if it is there; NULL: none */
};
#define VSHM_DISCOVER_OPTIONS_INIT                                                                 \
	{                                                                                          \
		sizeof(struct vshm_discover_options), 0, 0, NULL                                   \
	}

/*
 * Looks once at this machine and calls `found` for each thing: regions first, sorted by name, then servers, then devices. Also
 * for what is broken or cannot be used: its `error` and `why` say so. What is not there is no error: on a host without PCI
 * no device is found. Of the devices of a split region the first, by address, is taken for this machine's own, as `vshmctl
 * qemu-args` has it.
 * `options`: NULL for defaults. `found` must not be NULL and may call anything. VSHM_RUN_DIR names another directory than /run/vshm.
 * Returns how many were found. Blocks for as long as the file systems take. Any thread.
 * Errors: -EINVAL, -E2BIG, -ENOMEM.
 */
VSHM_API VSHM_MUST_USE int vshm_discover(const struct vshm_discover_options *options, vshm_found_fn found, void *arg);

/* "region", "server", "ivshmem", "ivshmem2", "uio", "dax". A constant string, never NULL. Any thread, never blocks. */
VSHM_API const char *vshm_found_kind_text(enum vshm_found_kind kind);

/* ---- what is missing ---- */

enum vshm_finding_level {
	VSHM_FINDING_OK = 0,
	VSHM_FINDING_HINT = 1,	  /* works; this could be better, or matters to some */
	VSHM_FINDING_PROBLEM = 2, /* does not work, or not as the device could */
};

#define VSHM_COMMAND_SIZE 1024

struct vshm_finding {
	size_t struct_size;
	enum vshm_finding_level level;
	const char *topic;		 /* one word for programs: "driver", "iommu", "memory", "permission", … */
	char text[VSHM_WHY_SIZE];	 /* one line */
	char command[VSHM_COMMAND_SIZE]; /* for a shell of root: mends it; empty: no command here could, or a name is not fit for one */
};

/* Receives a finding, valid during the call. */
typedef void (*vshm_finding_fn)(void *arg, const struct vshm_finding *finding);

/*
 * Looks at one thing more closely: what works, what does not, why, and the command that mends it. Calls `finding` for each
 * answer; what is not broken is told, too. Reads sysfs, /proc and /etc, opens for a moment what VFIO gives out, and changes nothing.
 * `found`: from vshm_discover(), with VSHM_DISCOVER_HOLDERS if it is to be said who is in the way.
 * Returns how many problems there are. Any thread; blocks for as long as the file systems take.
 * Errors: -EINVAL.
 */
VSHM_API VSHM_MUST_USE int vshm_diagnose(const struct vshm_found *found, vshm_finding_fn finding, void *arg);

/* ---- who comes and goes ---- */

enum vshm_found_change {
	VSHM_FOUND_ADDED = 1,
	VSHM_FOUND_REMOVED = 2, /* with what was known of it last */
	VSHM_FOUND_CHANGED = 3, /* another driver, another region, another reason why it cannot be used */
};

struct vshm_monitor;

/* Receives a change, valid during the call; may call anything but this monitor. */
typedef void (*vshm_change_fn)(void *arg, enum vshm_found_change change, const struct vshm_found *found);

/*
 * Begins to watch: devices through the kernel's events (udev's, where that runs), regions of the host through inotify on
 * /run/vshm, /dev/shm and hugetlbfs. The first vshm_monitor_dispatch() tells all that is there as added.
 * `options` as for vshm_discover(); `also` must stay as it is. `why`: NULL, or VSHM_WHY_SIZE bytes for one line on failure.
 * On success *monitor belongs to the caller: vshm_monitor_close(). Never blocks.
 * Errors: -EINVAL, -E2BIG, -ENOMEM (no memory, or no descriptors), -EIO.
 */
VSHM_API VSHM_MUST_USE int vshm_monitor_open(const struct vshm_discover_options *options, struct vshm_monitor **monitor, char *why);

/* A descriptor for poll(2): readable when there may be a change. It belongs to the monitor. Never blocks. Errors: -EINVAL. */
VSHM_API VSHM_MUST_USE int vshm_monitor_fd(const struct vshm_monitor *monitor);

/*
 * Looks at everything again, as vshm_discover() does, and tells the differences. Which peers come and go is no change, and what
 * is written into the memory of a device is noticed only when something else happens.
 * Returns how many changes there were. Errors: -EINVAL, -ENOMEM (then the differences are told next time).
 */
VSHM_API VSHM_MUST_USE int vshm_monitor_dispatch(struct vshm_monitor *monitor, vshm_change_fn changed, void *arg);

/* Errors: -EINVAL (NULL). */
VSHM_API int vshm_monitor_close(struct vshm_monitor *monitor);

VSHM_END_DECLS

#endif
