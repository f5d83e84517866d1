/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pages of a region in which the server tells what became of its clients, for programs in guests, which hear nothing
 * otherwise (vshm/layout.h). They are only written: each word is made from a copy in private memory, so what others write
 * there does no harm. Nor does it when somebody cuts the memory off under the server.
 */
#include "server/server.h"

#include "os/os.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Not as regions are mapped: a server may go on in a forked child. */
static bool map(struct vshmi_pages *pages, int memory, uint64_t offset)
{
	uint64_t unit = vshmi_align_up(vshmi_map_unit(memory), (uint64_t)sysconf(_SC_PAGESIZE)), begin = vshmi_align_down(offset, unit);
	void *base;

	pages->size = vshmi_align_up(offset + sizeof(struct vshmi_shared_server), unit) - begin;
	base = mmap(NULL, pages->size, PROT_WRITE, MAP_SHARED, memory, (off_t)begin);
	if (base == MAP_FAILED)
		return false;
	pages->base = base;
	pages->shared = (struct vshmi_shared_server *)(void *)(pages->base + (offset - begin));
	return true;
}

int vshmi_pages_open(struct vshmi_pages *pages, int memory, uint64_t offset, char *why)
{
	uint64_t life;
	struct stat st;
	int error;

	if (!offset)
		return 0;
	if (offset % 4096 || fstat(memory, &st) || offset > (uint64_t)st.st_size ||
	    (uint64_t)st.st_size - offset < sizeof(struct vshmi_shared_server))
		return vshmi_why(why, -EINVAL, "the server's pages must lie in the memory, at a multiple of 4096");
	pages->state = vshmi_alloc(sizeof(struct vshmi_shared_server));
	if (!pages->state)
		return vshmi_why(why, -ENOMEM, "out of memory");
	if (!map(pages, memory, offset))
		return vshmi_why(why, vshmi_error_of(errno), "cannot map the server's pages: %s", strerror(errno));
	error = vshmi_guard_add(pages->base, pages->size, &pages->gone);
	if (!error)
		error = vshmi_random(&life, sizeof(life));
	if (error)
		return vshmi_why(why, error, "cannot prepare the server's pages: %s", vshm_strerror(error));
	life >>= 1; /* never VSHM_LIFE_OVER */
	vshmi_server_begin(pages->shared, life ? life : 1);
	return 0;
}

/* What stands there stays: its clients live on, and who attaches now learns whose client it was. */
void vshmi_pages_close(struct vshmi_pages *pages)
{
	if (pages->base) {
		vshmi_guard_remove(pages->base);
		munmap(pages->base, pages->size);
	}
	vshmi_free(pages->state);
	memset(pages, 0, sizeof(*pages));
}

void vshmi_pages_tell(struct vshmi_pages *pages, uint32_t id, enum vshm_client_state state)
{
	uint64_t *word;

	if (!pages->shared)
		return;
	word = &pages->state[id / 32];
	*word = vshmi_server_word(*word, id, state);
	vshmi_server_tell(pages->shared, id / 32, *word);
}
