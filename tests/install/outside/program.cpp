// SPDX-License-Identifier: BSD-3-Clause
// The headers from C++17: every option struct with its initialiser, every public type, exceptions untouched.
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>
#include <vshm/layout.h>
#include <vshm/vshm.h>

namespace {

constexpr const char *uri = "inproc:outside";

void must(int rc, const char *what)
{
	if (rc < 0)
		throw std::runtime_error(std::string(what) + ": " + vshm_strerror(rc));
}

struct close_region {
	void operator()(vshm_region *region) const { vshm_region_close(region); }
};
using region_handle = std::unique_ptr<vshm_region, close_region>;

region_handle open_region()
{
	vshm_create_options shape = VSHM_CREATE_OPTIONS_INIT;
	vshm_open_options how = VSHM_OPEN_OPTIONS_INIT;
	vshm_region *region;

	shape.peers = 2;
	how.label = "outside";
	must(vshm_region_create(uri, &shape, nullptr), "create");
	must(vshm_region_open(uri, &how, &region, nullptr), "open");
	return region_handle(region);
}

std::string one_record(vshm_region *region)
{
	vshm_producer_options sending = VSHM_PRODUCER_OPTIONS_INIT;
	vshm_consumer_options receiving = VSHM_CONSUMER_OPTIONS_INIT;
	vshm_counters counters = VSHM_COUNTERS_INIT;
	vshm_producer *producer;
	vshm_consumer *consumer;
	vshm_view view;

	must(vshm_producer_open(region, "words", &sending, &producer), "producer");
	must(vshm_consumer_open(region, "words", &receiving, &consumer), "consumer");
	must(vshm_producer_send(producer, "hello", 5, VSHM_FOREVER), "send");
	must(vshm_consumer_peek(consumer, &view, VSHM_FOREVER), "peek");
	const std::string text(static_cast<const char *>(view.data), view.size);
	must(vshm_consumer_release(consumer), "release");
	must(vshm_consumer_counters(consumer, &counters), "counters");
	return counters.records == 1 ? text : "";
}

} // namespace

int main()
{
	try {
		struct vshm_region_info info = VSHM_REGION_INFO_INIT;
		struct vshm_peer_info peer = VSHM_PEER_INFO_INIT;
		region_handle region = open_region();

		must(vshm_region_info(region.get(), &info), "info");
		must(vshm_region_peer(region.get(), info.self, &peer), "peer");
		if (one_record(region.get()) != "hello")
			throw std::runtime_error("not what was sent");
		region.reset();
		must(vshm_region_destroy(uri, nullptr), "destroy");
		std::printf("C++: %s as peer %u of %u\n", peer.label, info.self, info.peers);
	} catch (const std::exception &error) {
		std::fprintf(stderr, "%s\n", error.what());
		return 1;
	}
	return 0;
}
