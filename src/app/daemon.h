/* daemon: skepd's command line, its signals, and its life around app and dev. Called by main alone. */
#pragma once

int daemon_main(int argc, char **argv); /* the exit code: 0 done, 1 failed, 2 usage */
