/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the files of this module that deal with files share. A region in the file system is one file (flat.c),
 * or a directory of files peer-0, peer-1, ... (split.c); file.c is the transport, place.c what is done to any file.
 * Not for other modules.
 */
#ifndef TRANSPORT_FILE_H
#define TRANSPORT_FILE_H

#include "transport/transport.h"

#include <limits.h>
#include <sys/stat.h>

/* A path in a message: longer ones lose their beginning, so that the cure still fits into the line. */
#define VSHMI_SHOWN_SIZE 120

/* A name in a directory that is held open: what happens to the path meanwhile does not matter. */
struct vshmi_place {
	int dir;
	char name[NAME_MAX + 1];
	char temporary[NAME_MAX + 1]; /* what a new region is called until it is published; empty: there is none */
	char shown[VSHMI_SHOWN_SIZE];
};

/* The state of the file transport. */
struct vshmi_files {
	struct vshmi_place place;
	bool split;
	bool force;
	int dir;                 /* split: the region's directory; else -1 */
	int fd[VSHM_MAX_PEERS];  /* per segment; -1: not there */
	uint32_t mode[VSHM_MAX_PEERS]; /* what a new file gets when it is published */
};

/* ---- place.c ---- */

int vshmi_place_init(struct vshmi_place *place, const char *path, char *why);
void vshmi_place_fini(struct vshmi_place *place);

/* lstat of the name. 0, -ENOENT (no line written), other errors. */
int vshmi_place_look(const struct vshmi_place *place, struct stat *st, char *why);

/* Chooses another temporary name. */
int vshmi_place_temporary(struct vshmi_place *place, char *why);

/* Gives an unnamed file a name in `dir`. As linkat(). */
int vshmi_file_link(int fd, int dir, const char *name);

/*
 * An unnamed file gets the place's name, unless that is taken; with `replace` it gets a temporary name instead, which is then
 * to be renamed.
 */
int vshmi_place_publish_unnamed(struct vshmi_place *place, int fd, bool replace, char *why);

/* The temporary name becomes the real one, unless that is taken. */
int vshmi_place_publish(struct vshmi_place *place, char *why);

/* "doing" failed with errno: the line, and the error. */
int vshmi_file_failed(char *why, const char *shown, const char *doing);

/* Is `st`'s owner root, this user, or the one that owner= names? */
int vshmi_file_check_owner(const struct stat *st, const char *owner, const char *shown, char *why);

/* A regular file with one name. */
int vshmi_file_check_kind(const struct stat *st, const char *shown, char *why);

enum vshmi_file_access {
	VSHMI_FILE_READ,
	VSHMI_FILE_MAY_WRITE, /* writable if it may be, else to read */
	VSHMI_FILE_WRITE,
};

/* Opens a file that exists, never something that is not a file. Returns the descriptor, or an error. */
int vshmi_file_open(int dir, const char *name, enum vshmi_file_access access, bool *writable, const char *shown, char *why);

/* -ENOSPC when the file system of `fd` has no room for `size` bytes: asked before any is taken. */
int vshmi_file_check_room(int fd, uint64_t size, const char *shown, char *why);

/* Allocates all of a file: a full file system is noticed now, not as SIGBUS later. On failure nothing stays. */
int vshmi_file_allocate(int fd, uint64_t size, const char *shown, char *why);

/* Makes a file of `size` bytes, all allocated, owned as `owner` says, with mode 0600. The descriptor, or an error. */
int vshmi_file_make(int dir, const char *name, uint64_t size, const struct vshm_owner *owner, const char *shown,
		    char *why);

/* The same without a name, so that nothing is left behind whatever happens to this process. -EOPNOTSUPP: not there. */
int vshmi_file_make_unnamed(int dir, uint64_t size, const struct vshm_owner *owner, const char *shown, char *why);


/* ---- file.c ---- */

/* Maps `size` bytes of `fd`, which it then owns, as segment `index`. */
int vshmi_files_map(struct vshmi_transport *t, uint32_t index, int fd, uint64_t size, bool writable, bool writable_now,
		    const char *shown, char *why);

/* Leaves a segment out again. */
void vshmi_files_drop(struct vshmi_transport *t, uint32_t index);

/* ---- flat.c, split.c ---- */

int vshmi_flat_open(struct vshmi_transport *t, const struct vshmi_uri *uri, bool observe, char *why);
int vshmi_flat_create(struct vshmi_transport *t, const struct vshmi_shape *shape, char *why);
int vshmi_flat_publish(struct vshmi_transport *t, char *why);

int vshmi_split_open(struct vshmi_transport *t, const struct vshmi_uri *uri, bool observe, char *why);
int vshmi_split_create(struct vshmi_transport *t, const struct vshmi_shape *shape, char *why);
int vshmi_split_publish(struct vshmi_transport *t, char *why);
int vshmi_split_destroy(struct vshmi_place *place, char *why);

/* Refuses a directory that holds anything but files named peer-N: it is not ours to remove. */
int vshmi_split_check_contents(const struct vshmi_place *place, char *why);

/* Removes the files of a region's directory, and the directory. */
int vshmi_split_remove(int parent, const char *name);

#endif
