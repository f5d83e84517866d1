/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Opening and closing a region. Its handle lives in pages that a forked child sees as zero, so that the child gets an
 * error from every call instead of touching memory it does not have.
 */
#include "region/region.h"

#define DEFAULT_BEAT_MS 50
#define MIN_BEAT_MS 10
#define DEFAULT_LEASE_MS 1000
#define MIN_LEASE_MS 100
#define MAX_MS 3600000u

/*
 * All open handles of this process: only to tell a second close from a first. The list is ordinary memory, so that a
 * forked child still knows its parent's handles.
 */
struct open_region {
	struct open_region *next;
	struct vshm_region *region;
};

static struct vshmi_mutex open_lock;
static struct open_region *open_regions;

__attribute__((constructor)) static void prepare_for_fork(void)
{
	vshmi_mutex_free_in_child(&open_lock);
}

static int remember(struct vshm_region *region)
{
	struct open_region *open = vshmi_alloc(sizeof(*open));

	if (!open)
		return -ENOMEM;
	open->region = region;
	vshmi_lock(&open_lock);
	open->next = open_regions;
	open_regions = open;
	vshmi_unlock(&open_lock);
	return 0;
}

/* False when it is not there (any more). */
static bool forget(const struct vshm_region *region)
{
	struct open_region *found = NULL;

	vshmi_lock(&open_lock);
	for (struct open_region **at = &open_regions; *at; at = &(*at)->next) {
		if ((*at)->region == region) {
			found = *at;
			*at = found->next;
			break;
		}
	}
	vshmi_unlock(&open_lock);
	vshmi_free(found);
	return found != NULL;
}

int vshmi_region_fail(struct vshm_region *region, int error, const char *format, ...)
{
	char line[VSHM_WHY_SIZE];
	va_list args;

	va_start(args, format);
	(void)vshmi_why_va(line, error, format, args);
	va_end(args);
	vshmi_lock(&region->why_lock);
	memcpy(region->why, line, sizeof(line));
	vshmi_unlock(&region->why_lock);
	return error;
}

void vshmi_region_log(struct vshm_region *region, enum vshm_log_level level, const char *format, ...)
{
	char line[VSHM_WHY_SIZE];
	va_list args;

	if (!region->log)
		return;
	va_start(args, format);
	(void)vshmi_why_va(line, 0, format, args);
	va_end(args);
	region->log(region->log_arg, level, line);
}

/* ---- mapping ---- */

static int guard(struct vshm_region *region, char *why)
{
	for (uint32_t i = 0; i < region->transport.segment_count; i++) {
		const struct vshmi_segment *segment = &region->transport.segment[i];
		int rc = segment->base ? vshmi_guard_add(segment->base, segment->size, &region->gone[i]) : 0;

		if (rc)
			return vshmi_why(why, rc, "cannot guard the mapping against SIGBUS: %s", vshm_strerror(rc));
	}
	return 0;
}

int vshmi_region_map(struct vshm_region *region, const struct vshmi_uri *uri, const struct vshmi_transport_ops *ops,
		     bool observe, char *why)
{
	int rc;

	if (!ops->open)
		return vshmi_why(why, -EOPNOTSUPP, "%s: regions cannot be opened", ops->scheme);
	region->transport.ops = ops;
	rc = ops->open(&region->transport, uri, observe, why);
	if (rc)
		return rc;
	if (region->guarded)
		rc = guard(region, why);
	if (!rc)
		rc = vshmi_region_assemble(region, uri->path, why);
	if (rc)
		vshmi_region_unmap(region);
	return rc;
}

void vshmi_region_unmap(struct vshm_region *region)
{
	if (region->guarded)
		for (uint32_t i = 0; i < region->transport.segment_count; i++)
			vshmi_guard_remove(region->transport.segment[i].base);
	region->transport.ops->close(&region->transport);
}

/* ---- open ---- */

static int check_options(const struct vshm_open_options *o, char *why)
{
	if (o->flags & ~(VSHM_OPEN_OBSERVE | VSHM_OPEN_NO_KEEPER | VSHM_OPEN_GUARD))
		return vshmi_why(why, -EINVAL, "unknown flag bits 0x%x in the open options", o->flags);
	if (o->peer != VSHM_PEER_ANY && o->peer >= VSHM_MAX_PEERS)
		return vshmi_why(why, -EINVAL, "peer %u: peer numbers are 0 to %u", o->peer, VSHM_MAX_PEERS - 1);
	if (o->label && !vshmi_name_ok(o->label))
		return vshmi_why(why, -EINVAL, "the label must be 1 to %u letters, digits or . _ : + -", VSHM_NAME_SIZE - 1);
	if (o->beat_ms && (o->beat_ms < MIN_BEAT_MS || o->beat_ms > MAX_MS))
		return vshmi_why(why, -EINVAL, "beat_ms %u: must be 0 (default) or %u to %u", o->beat_ms, MIN_BEAT_MS, MAX_MS);
	if (o->lease_ms && (o->lease_ms < MIN_LEASE_MS || o->lease_ms > MAX_MS))
		return vshmi_why(why, -EINVAL, "lease_ms %u: must be 0 (default) or %u to %u", o->lease_ms, MIN_LEASE_MS,
				 MAX_MS);
	return 0;
}

/* The program's name, made lawful. */
static void default_label(char *label)
{
	vshmi_program_name(label, VSHM_NAME_SIZE);
	for (char *c = label; *c; c++) {
		char one[2] = {*c, 0};

		if (c == label ? !vshmi_name_ok(one) : (*c != '.' && *c != '_' && *c != '-' && !vshmi_name_ok(one)))
			*c = c == label ? 'p' : '_';
	}
	if (!*label)
		label[0] = 'p';
}

static void adopt_options(struct vshm_region *region, const struct vshm_open_options *o, const struct vshmi_uri *uri)
{
	region->self = VSHM_PEER_ANY;
	region->wanted_peer = uri->peer;
	region->has_keeper = !(o->flags & (VSHM_OPEN_NO_KEEPER | VSHM_OPEN_OBSERVE));
	region->guarded = o->flags & VSHM_OPEN_GUARD;
	region->beat_ms = !region->has_keeper ? 0 : o->beat_ms ? o->beat_ms : DEFAULT_BEAT_MS;
	region->lease_ms = o->lease_ms ? o->lease_ms : DEFAULT_LEASE_MS;
	region->log = o->log;
	region->log_arg = o->log_arg;
	if (o->label)
		memcpy(region->label, o->label, strlen(o->label));
	else
		default_label(region->label);
}

vshm_peer vshmi_region_only_writable(const struct vshm_region *region)
{
	vshm_peer only = VSHM_PEER_ANY;

	for (vshm_peer i = 0; i < region->peers; i++) {
		if (!region->peer[i].section || !region->transport.segment[region->peer[i].segment].can_write)
			continue;
		if (only != VSHM_PEER_ANY)
			return VSHM_PEER_ANY;
		only = i;
	}
	return only;
}

static int attach(struct vshm_region *region, char *why)
{
	if (region->wanted_peer == VSHM_PEER_ANY && !vshmi_region_is_atomic(region))
		region->wanted_peer = vshmi_region_only_writable(region);
	if (region->wanted_peer != VSHM_PEER_ANY && region->wanted_peer >= region->peers)
		return vshmi_why(why, -EINVAL, "region %s has peers 0 to %u, not %u", region->name, region->peers - 1,
				 region->wanted_peer);
	if (region->wanted_peer == VSHM_PEER_ANY && !vshmi_region_is_atomic(region))
		return vshmi_why(why, -EINVAL,
				 "region %s lies in memory in which a free slot cannot be claimed: say which peer this is, with peer=N",
				 region->name);
	if (vshmi_membarrier_register())
		region->ways |= VSHM_WAY_MEMBARRIER;
	if (region->has_keeper && vshmi_region_is_atomic(region))
		region->ways |= VSHM_WAY_KEEPER;
	if (region->has_keeper && region->transport.bell >= 0)
		region->ways |= VSHM_WAY_DOORBELL;
	else if (region->transport.same_kernel)
		region->ways |= VSHM_WAY_FUTEX;
	if (region->transport.rings)
		region->ways |= VSHM_WAY_RINGS;
	vshmi_peer_find_server(region);
	return vshmi_keeper_start(region, why);
}

static int open_mapped(struct vshm_region *region, const struct vshmi_uri *uri,
		       const struct vshmi_transport_ops *ops, bool observe, char *why)
{
	int rc = vshmi_host_self(&region->host);

	if (rc)
		return vshmi_why(why, rc, "cannot read this process' identity from /proc: %s", vshm_strerror(rc));
	rc = vshmi_region_map(region, uri, ops, observe, why);
	if (rc)
		return rc;
	vshmi_peer_restart_leases(region);
	if (!observe)
		rc = attach(region, why);
	if (rc)
		vshmi_region_unmap(region);
	return rc;
}

int vshm_region_open(const char *text, const struct vshm_open_options *options, struct vshm_region **out, char *why)
{
	static const struct vshm_open_options defaults = VSHM_OPEN_OPTIONS_INIT;
	const struct vshmi_transport_ops *ops;
	struct vshm_open_options o;
	struct vshm_region *region;
	struct vshmi_uri uri;
	int rc;

	if (why)
		why[0] = '\0';
	if (!text || !out)
		return vshmi_why(why, -EINVAL, "no URI, or no place for the handle");
	rc = vshmi_options_in(&o, &defaults, sizeof(o), options);
	if (rc)
		return vshmi_why(why, rc, "open options: %s", vshm_strerror(rc));
	rc = check_options(&o, why);
	if (!rc)
		rc = vshmi_transport_find(text, &uri, &ops, why);
	if (rc)
		return rc;
	if (uri.peer == VSHM_PEER_ANY)
		uri.peer = o.peer;
	region = vshmi_alloc_private_pages(sizeof(*region));
	if (!region)
		return vshmi_why(why, -ENOMEM, "no memory for the handle");
	region->magic = VSHM_MAGIC;
	adopt_options(region, &o, &uri);
	rc = remember(region);
	if (rc)
		(void)vshmi_why(why, rc, "no memory for the handle");
	else
		rc = open_mapped(region, &uri, ops, o.flags & VSHM_OPEN_OBSERVE, why);
	if (rc) {
		(void)forget(region);
		vshmi_free_private_pages(region, sizeof(*region));
		return rc;
	}
	*out = region;
	return 0;
}

/* ---- close ---- */

/* Ends that are still open leave as they are: what was committed and not read can be drained by whoever is there. */
static void close_ends(struct vshm_region *region)
{
	vshmi_lock(&region->lock);
	for (unsigned i = 0; !vshmi_region_usable(region) && i < VSHM_ENTRIES; i++) {
		struct vshmi_end *end = region->own[i].end;

		if (!end)
			continue;
		if (end->rx && end->rx->tail_word) { /* connected: what was released does not come again */
			(void)vshmi_rx_return(end->rx);
			vshmi_store64(&end->entry->part, end->rx->done);
		}
		vshmi_store_release32(&end->entry->state, VSHM_END_CLOSED);
		if (end->link.id)
			vshmi_peer_ring(region, end->link.peer);
		vshmi_readers_ring(region, end);
	}
	if (!vshmi_region_usable(region)) {
		vshmi_section_state_store(region->section, VSHM_SECTION_CLOSING, region->ways);
		vshmi_directory_changed(region);
	}
	vshmi_unlock(&region->lock);
}

static void free_handles(struct vshm_region *region)
{
	while (region->handles) {
		struct vshmi_end *end = region->handles;

		region->handles = end->next;
		vshmi_readers_free(end->readers);
		vshmi_free(end->copy);
		vshmi_free(end->lent);
		vshmi_free_private_pages(end, VSHMI_HANDLE_SIZE);
	}
	for (unsigned i = 0; i < VSHM_ENTRIES; i++)
		vshmi_readers_free(region->own[i].readers);
	vshmi_lender_free(region);
}

int vshm_region_close(struct vshm_region *region)
{
	int rc;

	if (!region || !forget(region))
		return -EINVAL;
	rc = vshmi_region_handle(region);
	if (rc)
		return rc;
	if (!vshmi_observes(region)) {
		close_ends(region);
		vshmi_keeper_stop(region);
		vshmi_fd_close(region);
	}
	vshmi_region_unmap(region);
	free_handles(region);
	vshmi_free_private_pages(region, sizeof(*region));
	return 0;
}

int vshm_region_status(struct vshm_region *region)
{
	int rc = vshmi_region_handle(region);

	if (rc)
		return rc;
	rc = vshmi_region_usable(region);
	if (!rc && !region->has_keeper && region->transport.ops->status)
		rc = region->transport.ops->status(&region->transport);
	return rc;
}

int vshm_region_why(struct vshm_region *region, char *why)
{
	int rc = vshmi_region_handle(region);

	if (rc || !why)
		return rc ? rc : -EINVAL;
	vshmi_lock(&region->why_lock);
	memcpy(why, region->why, VSHM_WHY_SIZE);
	vshmi_unlock(&region->why_lock);
	return 0;
}
