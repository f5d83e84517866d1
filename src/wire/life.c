/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pages in which an ivshmem server tells of its clients. Every word of the table is whole in itself and all values are
 * lawful; magic and life frame a look, so that what is found belongs to the life that was asked for.
 */
#include "wire/wire.h"

_Static_assert(sizeof(struct vshm_server_page) == sizeof(struct vshmi_shared_server), "layout");
_Static_assert(offsetof(struct vshm_server_page, state) == offsetof(struct vshmi_shared_server, state), "layout");
_Static_assert(VSHM_SERVER_OFFSET == VSHM_SUPERBLOCK_SIZE, "layout");
_Static_assert(VSHM_SERVER_OFFSET + sizeof(struct vshm_server_page) <= VSHM_MIN_PAGE, "sections begin behind it");

uint64_t vshmi_server_life(const struct vshmi_shared_server *shared)
{
	uint64_t life;

	/* pairs with the release store of the magic in vshmi_server_begin() */
	if (vshmi_load_acquire64(&shared->magic) != VSHM_SERVER_MAGIC)
		return 0;
	life = vshmi_load_acquire64(&shared->life);
	return life == VSHM_LIFE_OVER ? 0 : life;
}

enum vshm_client_state vshmi_server_client(const struct vshmi_shared_server *shared, uint64_t life, uint32_t id)
{
	uint64_t word;

	if (!life || vshmi_server_life(shared) != life)
		return VSHM_CLIENT_UNKNOWN;
	word = vshmi_load64(&shared->state[id % VSHM_CLIENT_IDS / 32]);
	/* a table that is being emptied for the next life: pairs with the release fence in vshmi_server_begin() */
	vshmi_fence_acquire();
	if (vshmi_server_life(shared) != life)
		return VSHM_CLIENT_UNKNOWN;
	return (enum vshm_client_state)(word >> 2 * (id % 32) & 3);
}

void vshmi_server_begin(struct vshmi_shared_server *shared, uint64_t life)
{
	vshmi_store64(&shared->magic, 0);
	vshmi_fence_release();
	vshmi_store64(&shared->life, life);
	for (uint32_t i = 0; i < VSHM_CLIENT_IDS / 32; i++)
		vshmi_store64(&shared->state[i], 0);
	vshmi_store_release64(&shared->magic, VSHM_SERVER_MAGIC);
}

void vshmi_server_tell(struct vshmi_shared_server *shared, uint32_t index, uint64_t word)
{
	vshmi_store_release64(&shared->state[index], word);
}
