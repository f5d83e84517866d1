/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What systemd and a service say to each other, by environment variables and a datagram socket (sd_listen_fds(3),
 * sd_notify(3)): needs no library.
 */
#ifndef CLI_SERVICE_H
#define CLI_SERVICE_H

/* Takes what was handed in, once. Children do not inherit it. */
void service_begin(void);

/* The listening socket that was handed in for this path, or -1. The caller's from then on. */
int service_socket(const char *path);

/* The descriptor that was stored under this name by the process before, or -1. The caller's from then on. */
int service_stored(const char *name);

/* Stores a descriptor under a name, for the next process. Nothing happens without systemd. */
void service_store(const char *name, int fd);

/* "READY=1" and the like. Nothing happens without systemd. */
void service_tell(const char *words);

/* Closes what nobody took. How many there were. */
unsigned service_close_rest(void);

#endif
