// Package systemd is what a service and its manager say to each other: sockets
// that the manager opened before the service began (sd_listen_fds(3)), and how
// the service is getting on (sd_notify(3)).
//
// All of it is environment variables, open descriptors and datagrams, so nothing
// of systemd has to be there: without the variables there are no sockets, and
// nobody is told anything.
package systemd
