/* listen: the connection behind pg_listen, made when the first channel is asked for. */
#pragma once

struct listener;
struct pg;

struct listener *listener_create(struct pg *pg);
void pg_listener_destroy(struct listener *l); /* NULL is fine */
