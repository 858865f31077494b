/* keyring: what the key file held. Shared by keyring.c (file) and crypto.c (use) only. */
#pragma once
#include "crypto/crypto.h"

#define KEY_LEN    32
#define KEY_ID_MAX 32

struct key {
	char id[KEY_ID_MAX + 1];
	unsigned char bytes[KEY_LEN];
};

struct keyring {
	char *path; /* for messages */
	struct key *keys;
	size_t len;
};
