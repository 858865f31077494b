/* serve: a server with nothing behind it: System.Info from memory. Measures the RPC stack alone. */
#pragma once

/* Runs until SIGTERM or SIGINT; 0 = it stopped as asked. */
int serve(const char *address);
