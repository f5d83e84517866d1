/* SPDX-License-Identifier: BSD-3-Clause */
/* The transports there are, and what vshm: names lead to. Not for other modules. */
#ifndef TRANSPORT_LIST_H
#define TRANSPORT_LIST_H

#include "transport/transport.h"

extern const struct vshmi_transport_ops vshmi_file_ops;
extern const struct vshmi_transport_ops vshmi_inproc_ops;
extern const struct vshmi_transport_ops vshmi_ivshmem_ops;
extern const struct vshmi_transport_ops vshmi_server_ops;
extern const struct vshmi_transport_ops vshmi_split_ops;

/* As the operation open, with /sys and /dev below another root, and perhaps writable at once. */
int vshmi_ivshmem_open(struct vshmi_transport *t, const char *root, const struct vshmi_uri *uri, bool observe,
		       bool writable_now, char *why);
int vshmi_ivshmem_create(struct vshmi_transport *t, const char *root, const struct vshmi_uri *uri, const struct vshmi_shape *shape,
			 char *why);

/* The same of split:. */
int vshmi_devices_open(struct vshmi_transport *t, const char *root, const struct vshmi_uri *uri, bool observe, char *why);

/* Room for a URI in a file of the run directory, with its newline. */
#define VSHMI_REGISTERED_SIZE 1280

/* What the run directory says about `name`: a URI. 0, -EINVAL, -ENOENT, -EACCES, -EIO. */
int vshmi_name_lookup(const char *name, char uri[VSHMI_REGISTERED_SIZE], char *why);

#endif
