/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * CRC-32C, four bits at a time: 64 bytes of table, some microseconds for the 4096 bytes of a superblock,
 * which is all that it is used for.
 */
#include "base/base.h"

/* Remainders of the 16 values of four bits; polynomial 0x1edc6f41 (RFC 3720 section 12.1), reflected. */
static const uint32_t remainder_of[16] = {
	0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
	0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
};

uint32_t vshmi_crc32c(uint32_t crc, const void *data, size_t size)
{
	const unsigned char *bytes = data;

	crc = ~crc;
	for (size_t i = 0; i < size; i++) {
		crc ^= bytes[i];
		crc = (crc >> 4) ^ remainder_of[crc & 15];
		crc = (crc >> 4) ^ remainder_of[crc & 15];
	}
	return ~crc;
}
