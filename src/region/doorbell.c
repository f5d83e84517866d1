/* SPDX-License-Identifier: BSD-3-Clause */
/* The doorbells of a transport without a region: they are opened as for one, and the memory is left alone. */
#include "region/region.h"

#include <vshm/doorbell.h>

/* One wait of the system; a longer one is several. */
#define SLICE_NS (INT64_C(3600) * 1000 * 1000 * 1000)

struct vshm_doorbell {
	struct vshmi_transport transport;
};

static int open_transport(struct vshm_doorbell *bell, const char *text, char *why)
{
	struct vshmi_transport *t = &bell->transport;
	struct vshmi_uri uri;
	int error = vshmi_transport_find(text, &uri, &t->ops, why);

	if (!error)
		error = t->ops->open ? t->ops->open(t, &uri, false, why) : -EOPNOTSUPP;
	if (error)
		return error;
	if (t->rings || t->bell >= 0)
		return 0;
	t->ops->close(t);
	return vshmi_why(why, -EOPNOTSUPP, "%s has no doorbells: those are with server:, and with ivshmem-doorbell devices", text);
}

int vshm_doorbell_open(const char *uri, struct vshm_doorbell **out, char *why)
{
	struct vshm_doorbell *bell;
	int error;

	if (why)
		why[0] = '\0';
	if (!uri || !out)
		return vshmi_why(why, -EINVAL, "no URI, or no place for the doorbell");
	bell = vshmi_alloc(sizeof(*bell));
	error = bell ? open_transport(bell, uri, why) : vshmi_why(why, -ENOMEM, "out of memory");
	if (error)
		vshmi_free(bell);
	else
		*out = bell;
	return error;
}

int vshm_doorbell_close(struct vshm_doorbell *bell)
{
	if (!bell)
		return -EINVAL;
	bell->transport.ops->close(&bell->transport);
	vshmi_free(bell);
	return 0;
}

uint32_t vshm_doorbell_address(const struct vshm_doorbell *bell)
{
	return bell && bell->transport.bell >= 0 ? bell->transport.doorbell : VSHM_DOORBELL_NONE;
}

/* Who came and who left since. */
static void read_news(struct vshmi_transport *t)
{
	uint32_t departed[VSHM_MAX_PEERS];

	if (t->news >= 0)
		(void)t->ops->attend(t, departed, VSHM_MAX_PEERS);
}

int vshm_doorbell_ring(struct vshm_doorbell *bell, uint32_t address)
{
	if (!bell || address > UINT16_MAX)
		return -EINVAL;
	if (!bell->transport.rings)
		return -EOPNOTSUPP;
	read_news(&bell->transport);
	return bell->transport.ops->ring(&bell->transport, address);
}

static void hear(struct vshmi_transport *t)
{
	if (t->ops->hear)
		t->ops->hear(t);
	else
		vshmi_eventfd_clear(t->bell);
}

/* True: it rang within that time. */
static bool wait_once(struct vshmi_transport *t, int64_t timeout_ns)
{
	const int fds[] = {t->bell, t->news};
	uint32_t readable = vshmi_poll(fds, t->news >= 0 ? 2 : 1, timeout_ns < SLICE_NS ? timeout_ns : SLICE_NS);

	if (readable & 2)
		read_news(t);
	if (readable & 1)
		hear(t);
	return readable & 1;
}

int vshm_doorbell_wait(struct vshm_doorbell *bell, int64_t timeout_ns)
{
	int64_t left = timeout_ns < 0 ? SLICE_NS : timeout_ns, begin = vshmi_clock_ns();

	if (!bell || (timeout_ns < 0 && timeout_ns != VSHM_FOREVER))
		return -EINVAL;
	if (bell->transport.bell < 0)
		return -EOPNOTSUPP;
	while (!wait_once(&bell->transport, left)) {
		if (timeout_ns >= 0)
			left = timeout_ns - (vshmi_clock_ns() - begin);
		if (left <= 0)
			return timeout_ns ? -ETIMEDOUT : -EAGAIN;
	}
	return 0;
}
