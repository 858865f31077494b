/* script: what happens in Redis, as Lua scripts, so that each is done as a whole or not at all: the view and how far it goes
 * are always of one moment, whichever daemon dies when and whatever Redis loses.
 *
 * KEYS[1] is the view: a hash {position: behind which events it does not go, "" while it is being made; made, moved: when,
 * in ms}. KEYS[2] says who writes: one daemon, for as long as it says so again in time. Everything else is named
 * <prefix>:<queue>:<what>, as by BullMQ. A job's hash has one field more, "skep": the list where it was put.
 *
 * Answers: 0 from put and clear: somebody else writes by now, or the view is not what it was (Redis was emptied). */
#pragma once

/* ARGV: who, ms. {0}: another one writes; {1, position, made, moved}: we do. What is of a wrong type is taken out. */
extern const char board_script_hold[];
/* ARGV: who. */
extern const char board_script_leave[];
/* ARGV: who, ms, queues (JSON), prefix, at most. Takes the view out, so many jobs of a list; 2: there are more, 1: none are. */
extern const char board_script_clear[];
/* ARGV: who, ms, queues, prefix, position before, position behind, now in ms, ended jobs of a list that are kept, "head" or
 * "tail": where in a list new ones go, entries (entry.h), queues that are paused. 1: done. */
extern const char board_script_put[];
