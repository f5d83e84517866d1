/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the files of libvshm-discover share. It uses libvshm like any other program: by its public headers.
 */
#ifndef DISCOVER_DISCOVER_H
#define DISCOVER_DISCOVER_H

#include <vshm/discover.h>
#include <vshm/region.h>

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>

/* All that one look found. `failed`: there was no memory for more. */
struct vshmi_finds {
	struct vshm_found *one;
	size_t count, room;
	bool failed;
};

/* ---- memory.c: the only file that allocates ---- */

void *vshmi_discover_alloc(size_t size); /* zeroed; NULL */
void vshmi_discover_free(void *memory);

/* One more, empty but for its kind; NULL: no memory, which is noted. Earlier ones may move. */
struct vshm_found *vshmi_finds_add(struct vshmi_finds *finds, enum vshm_found_kind kind);
void vshmi_finds_free(struct vshmi_finds *finds);

/* ---- text.c ---- */

/* Like snprintf(), for texts that may be cut. */
void vshmi_text(char *out, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));
#define VSHMI_TEXT(out, ...) vshmi_text(out, sizeof(out), __VA_ARGS__)

/* "16M": a size as vshmctl takes it, in the largest unit that says it exactly. */
const char *vshmi_size_option(char *out, size_t size, unsigned long long bytes);

/* A file of one line, without its newline, in `out`. The length, or -1. */
ssize_t vshmi_read_line(const char *path, char *out, size_t size);

/* The number in such a file, decimal or 0x…; `otherwise`: there is none. */
unsigned long long vshmi_read_number(const char *path, unsigned long long otherwise);

/* The last component of a symbolic link's target; empty: no link. */
void vshmi_read_link_name(const char *path, char *out, size_t size);

/* Is there such a thing, whatever it is? */
bool vshmi_exists(const char *path);

/* May this user do `mode` (R_OK | W_OK)? */
bool vshmi_may(const char *path, int mode);

/* ---- finders: each adds what it finds ---- */

const char *vshmi_run_directory(void);
void vshmi_find_registered(struct vshmi_finds *finds); /* host.c: names, and the sockets between them */
void vshmi_find_unregistered(struct vshmi_finds *finds);
void vshmi_find_servers(struct vshmi_finds *finds);
void vshmi_find_path(struct vshmi_finds *finds, const char *uri); /* unless it was found */
void vshmi_find_pci(struct vshmi_finds *finds); /* pci.c */
void vshmi_find_uio(struct vshmi_finds *finds); /* device.c */
void vshmi_find_dax(struct vshmi_finds *finds);

/* socket.c: who is at this socket? Nobody hears of the question. Unknown: this user may not connect to it, or it is gone. */
enum vshmi_socket { VSHMI_SOCKET_LIVE, VSHMI_SOCKET_DEAD, VSHMI_SOCKET_OTHER, VSHMI_SOCKET_UNKNOWN };
enum vshmi_socket vshmi_ask_socket(int directory, const char *name);

/* Calls `each` for the mount points of hugetlbfs. */
void vshmi_each_hugetlbfs(void (*each)(void *arg, const char *place), void *arg);

/* The path in a file: URI, without parameters. 0, or -1: another kind of URI. */
int vshmi_uri_path(const char *uri, char *path, size_t size);

/* ---- look.c: what is in the memory ---- */

void vshmi_look(struct vshm_found *found, uint32_t flags);

/* Opens `uri` and notes what is there, or the error. `keep`: NULL, or gets the region where there is no error. */
int vshmi_look_into(struct vshm_found *found, const char *uri, uint32_t flags, struct vshm_region **keep);

/* ---- segments.c: split regions ---- */

/* Whose segment a device holds, if any. */
void vshmi_look_at_segment(struct vshm_found *found, uint32_t flags);

/* Puts devices together that hold segments of one region. */
void vshmi_assemble(struct vshmi_finds *finds, uint32_t flags);

/* ---- holders.c ---- */

void vshmi_find_holders(struct vshmi_finds *finds);

/* ---- discover.c ---- */

/* Checks options, and copies them. */
int vshmi_discover_options(const struct vshm_discover_options *given, struct vshm_discover_options *options);

/*
 * Looks once. `before`: NULL, or what an earlier look found: what VFIO gives to one process at a time is not opened again then.
 * 0, or -ENOMEM: `finds` then is what fitted.
 */
int vshmi_discover(const struct vshm_discover_options *options, const struct vshmi_finds *before,
		   struct vshmi_finds *finds);

/* The same thing in another look; NULL. */
const struct vshm_found *vshmi_same_place(const struct vshmi_finds *finds, const struct vshm_found *found);

/* ---- diagnosis ---- */

/* Where findings go, and how many of them are problems. */
struct vshmi_diagnosis {
	const struct vshm_found *found;
	vshm_finding_fn finding;
	void *arg;
	int problems;
};

/* One finding. `command`: NULL, or what mends it. */
void vshmi_say(struct vshmi_diagnosis *diagnosis, enum vshm_finding_level level, const char *topic, const char *command,
	       const char *format, ...) __attribute__((format(printf, 5, 6)));

void vshmi_diagnose_pci(struct vshmi_diagnosis *diagnosis);
void vshmi_diagnose_host(struct vshmi_diagnosis *diagnosis);
/* "qemu (process 12), vshmctl (process 34)"; empty: nobody that this user can see. */
void vshmi_holders_text(const struct vshm_found *found, char *out, size_t size);

#endif
