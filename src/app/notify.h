/* notify: tells systemd (sd_notify(3), by $NOTIFY_SOCKET) where we are. Without it nothing happens. */
#pragma once

void notify_ready(void);
void notify_reloading(void); /* followed by notify_ready */
void notify_stopping(void);
