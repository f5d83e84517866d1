/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whom this peer lends blocks to, over all its pools. A holder is one consumer, known by what it was when it was granted;
 * it stays until that one has closed, or is dead and fenced, and then all that it held comes home. Lock held everywhere.
 */
#include "region/region.h"

struct borrower {
	struct vshmi_link link; /* a copy: the grant may be gone long before the blocks are back. id 0: a free place */
	struct vshmi_holder holder;
};

struct vshmi_lender {
	struct vshmi_pool *pools[VSHMI_MAX_POOLS];
	struct borrower borrower[VSHMI_MAX_HOLDERS];
	uint64_t returns; /* blocks that were given back so far */
};

int vshmi_lender_add(struct vshm_region *region, struct vshmi_pool *pool, uint32_t *number)
{
	if (!region->lender) {
		region->lender = vshmi_alloc(sizeof(*region->lender));
		if (!region->lender)
			return -ENOMEM;
		memset(region->lender, 0, sizeof(*region->lender));
	}
	for (uint32_t i = 0; i < VSHMI_MAX_POOLS; i++) {
		if (region->lender->pools[i])
			continue;
		region->lender->pools[i] = pool;
		*number = i;
		return 0;
	}
	return -ENOSPC;
}

void vshmi_lender_remove(struct vshm_region *region, uint32_t number)
{
	region->lender->pools[number] = NULL;
}

void vshmi_lender_free(struct vshm_region *region)
{
	vshmi_free(region->lender);
	region->lender = NULL;
}

/*
 * It closed and so reads no more; or its process is gone, or its slot has another user. Dead alone is no fence. What the
 * keeper knows may be of the slot's last user, so it is looked at closely.
 */
static bool has_gone(struct vshm_region *region, const struct vshmi_link *link)
{
	bool there = !vshmi_link_check(region, link);

	if (there && vshmi_peer_known(region, link->peer) != VSHM_PEER_FENCED)
		return false;
	if (!there && (!vshmi_peer_dead(region, link->peer) || vshmi_incarnation_load(link->section) != link->incarnation))
		return true;
	return vshmi_peer_examine(region, link->peer, NULL) == VSHM_PEER_FENCED;
}

static void take_back(struct vshmi_lender *lender, struct borrower *borrower)
{
	for (uint32_t i = 0; i < VSHMI_MAX_POOLS; i++)
		if (lender->pools[i])
			lender->returns += vshmi_pool_take_back_all(lender->pools[i], borrower->holder.number);
	memset(borrower, 0, sizeof(*borrower));
}

static void collect(struct vshm_region *region, struct borrower *borrower)
{
	struct vshmi_lender *lender = region->lender;
	bool lied = borrower->holder.fault.rule != 0;
	int back;

	if (has_gone(region, &borrower->link)) {
		take_back(lender, borrower);
		return;
	}
	if (lied)
		return;
	back = vshmi_holder_collect(&borrower->holder, lender->pools, VSHMI_MAX_POOLS);
	if (back >= 0)
		lender->returns += (uint32_t)back;
	else
		vshmi_region_log(region, VSHM_LOG_ERROR,
				 "region %s: peer %u broke the format, it is lent nothing any more: %s (0x%llx)", region->name,
				 borrower->link.peer, vshm_rule_text(borrower->holder.fault.rule),
				 (unsigned long long)borrower->holder.fault.value);
}

uint64_t vshmi_lender_collect(struct vshm_region *region)
{
	struct vshmi_lender *lender = region->lender;

	if (!lender)
		return 0;
	for (unsigned i = 0; i < VSHMI_MAX_HOLDERS; i++)
		if (lender->borrower[i].link.id)
			collect(region, &lender->borrower[i]);
	return lender->returns;
}

/* The place of this consumer; a new one if there is none yet. NULL: all are taken. */
static struct borrower *find(struct vshmi_lender *lender, const struct vshmi_link *link)
{
	struct borrower *vacant = NULL;

	for (unsigned i = 0; i < VSHMI_MAX_HOLDERS; i++) {
		struct borrower *borrower = &lender->borrower[i];

		if (!borrower->link.id)
			vacant = vacant ? vacant : borrower;
		else if (borrower->link.id == link->id && borrower->link.incarnation == link->incarnation)
			return borrower;
	}
	if (!vacant || vshmi_holder_init(&vacant->holder, (uint32_t)(vacant - lender->borrower), &link->entry->returned,
					 link->returns, link->lends))
		return NULL;
	vacant->link = *link;
	vacant->link.back = 0; /* which producer it reads does not matter */
	return vacant;
}

int vshmi_lender_lend(struct vshm_region *region, const struct vshmi_link *link, uint32_t pool, uint32_t block,
		      uint64_t *token)
{
	struct borrower *borrower;

	if (!link->lends)
		return -EOPNOTSUPP;
	borrower = find(region->lender, link);
	return borrower ? vshmi_pool_lend(region->lender->pools[pool], &borrower->holder, block, token) : -EAGAIN;
}

void vshmi_lender_recall(struct vshm_region *region, const struct vshmi_link *link, uint32_t pool, uint32_t block)
{
	struct borrower *borrower = find(region->lender, link);

	if (borrower)
		(void)vshmi_pool_recall(region->lender->pools[pool], &borrower->holder, block);
}
