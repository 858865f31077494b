/* skepd: the daemon. Everything stands in app/. */
#include "app/daemon.h"

int main(int argc, char **argv)
{
	return daemon_main(argc, argv);
}
