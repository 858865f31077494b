/* log: structured lines on stderr: `ts=… level=info msg="…" key=value …` or
 * JSON. Logged at the rpc, job and main edges only (return or log, never both).
 * Values are escaped; a secret is passed as LOG_SECRET and prints "***".
 *
 *   log_info("job ended", "job", job->id, "state", "failed", NULL);
 *
 * Every value is a C string; the list ends with NULL. */
#pragma once
#include <stdbool.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_KEY_VALUE, LOG_JSON };
#define LOG_SECRET "***"

/* The only process-wide setting; called by main before anything logs, and on reload. */
void log_configure(enum log_level level, enum log_format format);
bool log_level_parse(const char *name, enum log_level *ret_level);

void log_line(enum log_level level, const char *msg, ...) __attribute__((sentinel));
#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)
#define log_info(...) log_line(LOG_INFO, __VA_ARGS__)
#define log_warn(...) log_line(LOG_WARN, __VA_ARGS__)
#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
