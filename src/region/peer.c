/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Alive, suspect, died, fenced. What a peer says of itself can be a lie; a lie costs only the liar: it can make itself
 * look dead, and it can keep its own slot.
 */
#include "region/region.h"

bool vshmi_peer_same_kernel(const struct vshm_region *region, const struct vshm_identity *identity)
{
	return region->transport.same_kernel &&
	       !memcmp(region->host.boot_id, identity->boot_id, sizeof(identity->boot_id));
}

bool vshmi_peer_dead(const struct vshm_region *region, vshm_peer peer)
{
	const struct vshmi_shared_section *section = region->peer[peer].section;
	uint64_t departed = __atomic_load_n(&region->peer[peer].departed, __ATOMIC_RELAXED);

	return section && (vshmi_load_acquire32(&section->alive) & VSHM_ALIVE_DIED ||
			   (VSHMI_UNLIKELY(departed) && departed == vshmi_incarnation_load(section)));
}

/*
 * Clients of one life of a server know each other. Where no life is known, nothing says that they do not; a life that is over
 * can be any of several. A transport that was told of each client by the server knows better than any of that.
 */
static bool is_stranger(struct vshm_region *region, const struct vshm_identity *identity)
{
	const struct vshmi_transport_ops *ops = region->transport.ops;

	if (!(region->ways & identity->ways & VSHM_WAY_RINGS))
		return false; /* whoever has a doorbell rings those of others, too */
	if (ops->knows && identity->ways & VSHM_WAY_DOORBELL)
		return !ops->knows(&region->transport, identity->ivshmem_id);
	return identity->server_life != region->server_life || region->server_life == VSHM_LIFE_OVER;
}

/* A lie about it rings somebody else, who finds nothing, and costs the liar its own wake-ups. */
void vshmi_peer_note_doorbell(struct vshm_region *region, vshm_peer number, const struct vshm_identity *identity)
{
	struct vshmi_peer *peer = &region->peer[number];
	bool has_one = identity->ways & VSHM_WAY_DOORBELL && identity->ivshmem_id <= UINT16_MAX;
	uint32_t doorbell = has_one ? identity->ivshmem_id : UINT32_MAX;

	__atomic_store_n(&peer->doorbell, doorbell, __ATOMIC_RELAXED);
	__atomic_store_n(&peer->stranger, number != region->self && is_stranger(region, identity), __ATOMIC_RELAXED);
}

/* The server says that this client's connection was closed from its side. In a flat region anybody could write anything anyway. */
static bool left_server(const struct vshm_region *region, const struct vshm_identity *identity)
{
	return region->server && identity->server_life && identity->ivshmem_id < VSHM_CLIENT_IDS &&
	       vshmi_server_client(region->server, identity->server_life, identity->ivshmem_id) == VSHM_CLIENT_LEFT;
}

/* One that is not there is not a client of this life: its server went, or another one serves in its place. */
void vshmi_peer_find_server(struct vshm_region *region)
{
	uint64_t life = region->server ? vshmi_server_life(region->server) : 0;

	region->server_life = life;
	if (life && region->transport.doorbell < VSHM_CLIENT_IDS &&
	    vshmi_server_client(region->server, life, region->transport.doorbell) != VSHM_CLIENT_HERE)
		region->server_life = VSHM_LIFE_OVER;
}

void vshmi_peers_hear(struct vshm_region *region)
{
	uint32_t departed[VSHM_MAX_PEERS];
	unsigned count;

	if (region->has_keeper || region->transport.news < 0 || !region->transport.ops->attend)
		return;
	count = region->transport.ops->attend(&region->transport, departed, VSHM_MAX_PEERS);
	for (unsigned i = 0; i < count; i++)
		vshmi_peers_depart(region, departed[i]);
}

void vshmi_peers_depart(struct vshm_region *region, uint32_t doorbell)
{
	for (vshm_peer i = 0; i < region->peers; i++) {
		struct vshmi_peer *peer = &region->peer[i];

		if (i != region->self && __atomic_load_n(&peer->doorbell, __ATOMIC_RELAXED) == doorbell)
			__atomic_store_n(&peer->departed, peer->incarnation, __ATOMIC_RELAXED);
	}
}

void vshmi_peer_restart_leases(struct vshm_region *region)
{
	int64_t now = vshmi_clock_ns();

	for (vshm_peer i = 0; i < region->peers; i++)
		region->peer[i].beat_seen_ns = now;
}

/* 1: the whole process is gone; 0: it is not; negative: cannot be told from here. */
static int process_gone(const struct vshm_region *region, const struct vshm_identity *identity)
{
	if (!identity->incarnation || !vshmi_peer_same_kernel(region, identity) ||
	    identity->pid_namespace != region->host.pid_namespace)
		return -EOPNOTSUPP;
	return vshmi_process_gone(identity->pid, identity->start_ticks);
}

bool vshmi_peer_rebooted(const struct vshm_region *region, const struct vshm_identity *identity)
{
	static const uint8_t none[16];

	return identity->incarnation && memcmp(identity->machine_id, none, sizeof(none)) &&
	       !memcmp(identity->machine_id, region->host.machine_id, sizeof(identity->machine_id)) &&
	       memcmp(identity->boot_id, region->host.boot_id, sizeof(identity->boot_id));
}

static enum vshm_peer_state examine_dead(struct vshm_region *region, struct vshmi_peer *peer,
					 const struct vshm_identity *identity, int64_t now)
{
	int gone = process_gone(region, identity);

	if (!peer->died_seen_ns)
		peer->died_seen_ns = now;
	if (gone > 0 || (gone < 0 && now - peer->died_seen_ns > VSHMI_GRACE_NS))
		return VSHM_PEER_FENCED;
	return VSHM_PEER_DIED;
}

static enum vshm_peer_state examine_living(struct vshm_region *region, struct vshmi_peer *peer,
					   const struct vshm_identity *identity, int64_t now)
{
	uint64_t heartbeat = vshmi_load64(&peer->section->heartbeat);
	bool still = now - peer->beat_seen_ns > (int64_t)region->lease_ms * 1000000;

	if (heartbeat != peer->heartbeat) {
		peer->heartbeat = heartbeat;
		peer->beat_seen_ns = now;
		still = false;
	}
	if (still || !(identity->ways & VSHM_WAY_KEEPER)) {
		/* machine ids can be cloned with a disk image: believe in a reboot only when no heart beats */
		if (process_gone(region, identity) > 0 || (still && vshmi_peer_rebooted(region, identity)))
			return VSHM_PEER_FENCED;
	}
	/* without an identity it stopped, or its machine was switched off, while it was attaching */
	if (still && (identity->beat_ms || !identity->incarnation))
		return VSHM_PEER_SUSPECT;
	return identity->state == VSHM_SECTION_CLOSING ? VSHM_PEER_CLOSING : VSHM_PEER_LIVE;
}

static enum vshm_peer_state examine(struct vshm_region *region, vshm_peer number, struct vshm_identity *identity)
{
	struct vshmi_peer *peer = &region->peer[number];
	struct vshm_fault fault;
	int64_t now = vshmi_clock_ns();
	uint32_t alive;

	memset(identity, 0, sizeof(*identity));
	if (!peer->section)
		return VSHM_PEER_PENDING;
	alive = vshmi_load_acquire32(&peer->section->alive);
	if (vshmi_identity_read(peer->section, identity, &fault))
		memset(identity, 0, sizeof(*identity)); /* changing, or unlawful: what it says does not count */
	if (identity->incarnation != peer->incarnation) {
		peer->incarnation = identity->incarnation;
		peer->beat_seen_ns = now;
		peer->died_seen_ns = 0;
	}
	vshmi_peer_note_doorbell(region, number, identity);
	if (!alive)
		return VSHM_PEER_FREE;
	if (identity->incarnation && left_server(region, identity))
		__atomic_store_n(&peer->departed, identity->incarnation, __ATOMIC_RELAXED);
	if (alive == VSHM_ALIVE_EVICTED || (peer->departed && peer->departed == identity->incarnation))
		return VSHM_PEER_FENCED;
	if (alive & VSHM_ALIVE_DIED)
		return examine_dead(region, peer, identity, now);
	return examine_living(region, peer, identity, now);
}

enum vshm_peer_state vshmi_peer_examine(struct vshm_region *region, vshm_peer number, struct vshm_identity *identity)
{
	struct vshm_identity local;
	enum vshm_peer_state state;

	vshmi_peers_hear(region);
	state = examine(region, number, identity ? identity : &local);
	__atomic_store_n(&region->peer[number].state, (uint32_t)state, __ATOMIC_RELAXED);
	return state;
}

void vshmi_peer_ring(struct vshm_region *region, vshm_peer peer)
{
	struct vshmi_word32 *word;
	uint32_t doorbell;

	if (vshmi_observes(region) || vshmi_region_usable(region))
		return;
	/* values are handed out once, so that two threads ringing at a time still change the word for every sleeper */
	word = &region->section->bell[peer].word;
	vshmi_store_release32(word, __atomic_add_fetch(&region->bell[peer], 1, __ATOMIC_RELAXED));
	if (region->transport.same_kernel)
		vshmi_futex_wake(vshmi_futex_address(word));
	doorbell = __atomic_load_n(&region->peer[peer].doorbell, __ATOMIC_RELAXED);
	if (doorbell != UINT32_MAX && region->transport.ops->ring)
		(void)region->transport.ops->ring(&region->transport, doorbell);
}
