/* A smart-card service for the test of the library: it loads it, calls what it
 * finds there with everything that is not as it should be, and drives the token
 * in software that the library of the test has.
 *
 * Usage: host LIBRARY
 *   Ends with status 1 at the first surprise. Compiled with LOG it has log
 *   functions as pcscd does, and wants the library to use them.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ifd.h"

#define TOKEN "usb:0a89/0035:libudev:0:/dev/bus/usb/001/002"
#define LUN 0x00020000UL
#define PLENTY 600

enum { TAG_ATR = 0x303, TAG_STOP = 0xFB2, TAG_POLL = 0xFB3, TAG_REMOVED = 0xFB4, TAG_SLOTS = 0xFAE };
enum { OK = 0, NO_TAG = 600, NOT_SUPPORTED = 606, COMM = 612, ABSENT = 616, GONE = 617, SHORT = 618 };
enum { UP = 500, DOWN = 501 };

#define CHECK(what)                                                           \
	do {                                                                  \
		if (!(what)) {                                                \
			printf("host.c:%d: not so: %s\n", __LINE__, #what);   \
			exit(1);                                              \
		}                                                             \
	} while (0)

#define WANT(call, want)                                                                          \
	do {                                                                                      \
		long got_ = (call);                                                               \
		if (got_ != (want)) {                                                             \
			printf("host.c:%d: %s: got %ld, want %d\n", __LINE__, #call, got_, want); \
			exit(1);                                                                  \
		}                                                                                 \
	} while (0)

static struct {
	void *library;
	RESPONSECODE (*create_by_name)(DWORD, char *);
	RESPONSECODE (*create)(DWORD, DWORD);
	RESPONSECODE (*close)(DWORD);
	RESPONSECODE (*get)(DWORD, DWORD, DWORD *, UCHAR *);
	RESPONSECODE (*set)(DWORD, DWORD, DWORD, UCHAR *);
	RESPONSECODE (*protocol)(DWORD, DWORD, UCHAR, UCHAR, UCHAR, UCHAR);
	RESPONSECODE (*power)(DWORD, DWORD, UCHAR *, DWORD *);
	RESPONSECODE (*transmit)(DWORD, SCARD_IO_HEADER, UCHAR *, DWORD, UCHAR *, DWORD *, SCARD_IO_HEADER *);
	RESPONSECODE (*control)(DWORD, DWORD, UCHAR *, DWORD, UCHAR *, DWORD, DWORD *);
	RESPONSECODE (*presence)(DWORD);
} ifd;

static const UCHAR echo[] = { 0x80, 0xEC, 0, 0, 4, 0xDE, 0xAD, 0xBE, 0xEF, 4 };
static const UCHAR answer[] = { 0xDE, 0xAD, 0xBE, 0xEF, 0x90, 0x00 };
static const SCARD_IO_HEADER t1 = { 1, sizeof t1 };

#ifdef LOG
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static int lines, dumps, greetings;

void log_msg(const int priority, const char *format, ...);
void log_msg(const int priority, const char *format, ...)
{
	__builtin_va_list args;
	const char *line;

	/* The text of a device is never the format. */
	CHECK(strcmp(format, "%s") == 0 && priority >= 0 && priority <= 3);
	__builtin_va_start(args, format);
	line = __builtin_va_arg(args, const char *);
	pthread_mutex_lock(&log_lock);
	lines++;
	greetings += strstr(line, "libifdkaztoken") != NULL;
	pthread_mutex_unlock(&log_lock);
	CHECK(strlen(line) <= 1024 && strchr(line, '\n') == NULL);
	__builtin_va_end(args);
}

void log_xxd(const int priority, const char *line, const unsigned char *data, const int size);
void log_xxd(const int priority, const char *line, const unsigned char *data, const int size)
{
	CHECK(priority == 0 && line != NULL && data != NULL && size > 0);
	pthread_mutex_lock(&log_lock);
	dumps++;
	pthread_mutex_unlock(&log_lock);
}
#endif

static void *find(const char *name)
{
	void *f = dlsym(ifd.library, name);

	if (f == NULL) {
		printf("no %s in the library\n", name);
		exit(1);
	}
	return f;
}

static void load(const char *path)
{
	ifd.library = dlopen(path, RTLD_LAZY);
	if (ifd.library == NULL) {
		printf("%s\n", dlerror());
		exit(1);
	}
	*(void **)&ifd.create_by_name = find("IFDHCreateChannelByName");
	*(void **)&ifd.create = find("IFDHCreateChannel");
	*(void **)&ifd.close = find("IFDHCloseChannel");
	*(void **)&ifd.get = find("IFDHGetCapabilities");
	*(void **)&ifd.set = find("IFDHSetCapabilities");
	*(void **)&ifd.protocol = find("IFDHSetProtocolParameters");
	*(void **)&ifd.power = find("IFDHPowerICC");
	*(void **)&ifd.transmit = find("IFDHTransmitToICC");
	*(void **)&ifd.control = find("IFDHControl");
	*(void **)&ifd.presence = find("IFDHICCPresence");
}

/* every function of a number that names no open channel, or in a forked process */
static void refused(DWORD lun)
{
	UCHAR buffer[PLENTY];
	DWORD n = sizeof buffer;

	WANT(ifd.close(lun), COMM);
	WANT(ifd.get(lun, TAG_SLOTS, &n, buffer), COMM);
	WANT(ifd.set(lun, TAG_REMOVED, 1, (UCHAR *)"\1"), COMM);
	WANT(ifd.protocol(lun, 2, 0, 0, 0, 0), COMM);
	n = sizeof buffer;
	WANT(ifd.power(lun, UP, buffer, &n), COMM);
	n = sizeof buffer;
	WANT(ifd.transmit(lun, t1, (UCHAR *)echo, sizeof echo, buffer, &n, NULL), COMM);
	CHECK(n == 0);
	n = 1;
	WANT(ifd.control(lun, 0x42000D48, NULL, 0, buffer, sizeof buffer, &n), COMM);
	CHECK(n == 0);
	WANT(ifd.presence(lun), COMM);
}

static void capabilities(void)
{
	UCHAR value[64];
	DWORD n;

	WANT(ifd.get(LUN, TAG_SLOTS, NULL, value), COMM);
	n = 1;
	WANT(ifd.get(LUN, TAG_SLOTS, &n, NULL), COMM);
	for (DWORD room = 0; room < 12; room++) {
		memset(value, 0x55, sizeof value);
		n = room;
		WANT(ifd.get(LUN, TAG_ATR, &n, value), SHORT);
		CHECK(n == 12 && value[0] == 0x55);
	}
	n = 12;
	WANT(ifd.get(LUN, TAG_ATR, &n, value), OK);
	CHECK(n == 12 && memcmp(value, "\x3B\x88\x01KAZTOKEN\x82", 12) == 0 && value[12] == 0x55);
	n = 64;
	WANT(ifd.get(LUN, 0x7FFF0003, &n, value), NO_TAG);
	CHECK(n == 64); /* pcscd answers that itself, and needs the length */
	WANT(ifd.get(LUN, (DWORD)1 << 40, &n, value), NO_TAG);
	WANT(ifd.set(LUN, TAG_REMOVED, 1, NULL), COMM);
	WANT(ifd.set(LUN, TAG_REMOVED, 0, value), COMM);
	WANT(ifd.set(LUN, (DWORD)1 << 40, 1, value), NO_TAG);
}

static void power(void)
{
	UCHAR atr[MAX_ATR_SIZE + 8];
	DWORD n = sizeof atr;

	WANT(ifd.power(LUN, UP, atr, NULL), COMM);
	WANT(ifd.power(LUN, UP, NULL, &n), COMM);
	CHECK(n == 0);
	WANT(ifd.power(LUN, DOWN, NULL, NULL), OK);
	WANT(ifd.power(LUN, DOWN, atr, &n), OK);
	CHECK(n == 0);
	WANT(ifd.power(LUN, 77, atr, &n), 614);
	memset(atr, 0x55, sizeof atr);
	n = 0; /* hosts have the length of the last answer there, or none */
	WANT(ifd.power(LUN, UP, atr, &n), OK);
	CHECK(n == 12 && atr[0] == 0x3B && atr[11] == 0x82 && atr[MAX_ATR_SIZE] == 0x55);
	WANT(ifd.protocol(LUN, 1, 0, 0, 0, 0), 607);
	WANT(ifd.protocol(LUN, 2, 1, 0x96, 0, 0), NOT_SUPPORTED);
	WANT(ifd.protocol(LUN, 2, 0, 0, 0, 0), OK);
}

static void transmit(void)
{
	UCHAR buffer[PLENTY];
	SCARD_IO_HEADER got = { 9, 9 };
	DWORD n = sizeof buffer;

	WANT(ifd.transmit(LUN, t1, (UCHAR *)echo, sizeof echo, buffer, NULL, NULL), COMM);
	WANT(ifd.transmit(LUN, t1, NULL, sizeof echo, buffer, &n, NULL), COMM);
	CHECK(n == 0);
	n = sizeof buffer;
	WANT(ifd.transmit(LUN, t1, (UCHAR *)echo, sizeof echo, NULL, &n, NULL), COMM);
	CHECK(n == 0);
	for (DWORD room = 0; room < sizeof answer; room++) {
		memset(buffer, 0x55, sizeof buffer);
		n = room;
		WANT(ifd.transmit(LUN, t1, (UCHAR *)echo, sizeof echo, buffer, &n, &got), SHORT);
		CHECK(n == 0 && buffer[room] == 0x55 && got.Protocol == 9);
	}
	memset(buffer, 0x55, sizeof buffer);
	n = sizeof answer;
	WANT(ifd.transmit(LUN, t1, (UCHAR *)echo, sizeof echo, buffer, &n, &got), OK);
	CHECK(n == sizeof answer && memcmp(buffer, answer, n) == 0 && buffer[n] == 0x55);
	CHECK(got.Protocol == 1 && got.Length == sizeof got);
	/* command and response in the same place */
	memcpy(buffer, echo, sizeof echo);
	n = sizeof buffer;
	WANT(ifd.transmit(LUN, t1, buffer, sizeof echo, buffer, &n, NULL), OK);
	CHECK(n == sizeof answer && memcmp(buffer, answer, n) == 0);
	memcpy(buffer + 3, echo, sizeof echo);
	n = sizeof buffer;
	WANT(ifd.transmit(LUN, t1, buffer + 3, sizeof echo, buffer, &n, NULL), OK);
	CHECK(n == sizeof answer && memcmp(buffer, answer, n) == 0);
	/* lengths that nobody has, and protocols */
	n = sizeof buffer;
	CHECK(ifd.transmit(LUN, t1, (UCHAR *)echo, (DWORD)-1, buffer, &n, NULL) != OK && n == 0);
	n = sizeof buffer;
	CHECK(ifd.transmit(LUN, t1, (UCHAR *)echo, 0, buffer, &n, NULL) != OK && n == 0);
	n = sizeof buffer;
	WANT(ifd.transmit(LUN, (SCARD_IO_HEADER){ 0, 0 }, (UCHAR *)echo, sizeof echo, buffer, &n, NULL), 607);
	n = sizeof buffer;
	WANT(ifd.transmit(LUN, (SCARD_IO_HEADER){ -1, -1 }, (UCHAR *)echo, sizeof echo, buffer, &n, NULL), 607);
	n = (DWORD)-1;
	WANT(ifd.transmit(LUN, (SCARD_IO_HEADER){ 4, 0 }, (UCHAR *)echo, sizeof echo, buffer, &n, NULL), OK);
	CHECK(n == sizeof answer);
}

static void control(void)
{
	UCHAR buffer[PLENTY];
	DWORD n = 7;

	WANT(ifd.control(LUN, 0x42000D48, NULL, 0, buffer, sizeof buffer, NULL), COMM);
	WANT(ifd.control(LUN, 0x42000D48, NULL, 0, NULL, 0, &n), SHORT);
	CHECK(n == 6);
	WANT(ifd.control(LUN, 0x42000D48, NULL, 99, buffer, 5, &n), SHORT);
	CHECK(n == 6);
	WANT(ifd.control(LUN, 0x42000D48, NULL, 0, buffer, 6, &n), OK);
	CHECK(n == 6 && memcmp(buffer, "\x12\x04\x42\x33\x00\x12", 6) == 0);
	WANT(ifd.control(LUN, 0x42000002, buffer, 6, buffer, 6, &n), NOT_SUPPORTED);
	CHECK(n == 0);
	WANT(ifd.control(LUN, (DWORD)0x42000D48 | (DWORD)1 << 40, NULL, 0, buffer, 6, &n), NOT_SUPPORTED);
	WANT(ifd.control(LUN, 0x42330006, NULL, 0, buffer, sizeof buffer, &n), 614);
}

static RESPONSECODE (*poll_function)(DWORD, int);
static RESPONSECODE (*stop_function)(DWORD);

static void *poller(void *rv)
{
	*(long *)rv = poll_function(LUN, 600 * 1000);
	return NULL;
}

static void polling(void)
{
	DWORD n = sizeof poll_function - 1;
	long rv = -1;
	pthread_t thread;

	WANT(ifd.get(LUN, TAG_POLL, &n, (UCHAR *)&poll_function), SHORT);
	CHECK(n == sizeof poll_function);
	WANT(ifd.get(LUN, TAG_POLL, &n, (UCHAR *)&poll_function), OK);
	WANT(ifd.get(LUN, TAG_STOP, &n, (UCHAR *)&stop_function), OK);
	CHECK(n == sizeof stop_function);
	WANT(ifd.presence(LUN), OK);
	WANT(poll_function(LUN, 1), OK);
	WANT(poll_function(LUN, -1), OK);
	WANT(poll_function(LUN + 1, 1000), COMM);
	WANT(stop_function(LUN + 1), COMM);
	for (int i = 0; i < 20; i++) {
		CHECK(pthread_create(&thread, NULL, poller, &rv) == 0);
		WANT(stop_function(LUN), OK); /* before the poll has begun, or after */
		CHECK(pthread_join(thread, NULL) == 0);
		WANT(rv, OK);
	}
}

static void *worker(void *unused)
{
	UCHAR buffer[PLENTY];

	for (int i = 0; i < 300; i++) {
		DWORD n = sizeof buffer;

		WANT(ifd.transmit(LUN, t1, (UCHAR *)echo, sizeof echo, buffer, &n, NULL), OK);
		CHECK(n == sizeof answer && memcmp(buffer, answer, n) == 0);
		WANT(ifd.presence(LUN), OK);
		n = 1;
		WANT(ifd.get(LUN, TAG_SLOTS, &n, buffer), OK);
	}
	return unused;
}

static void threads(void)
{
	pthread_t all[4];

	for (int i = 0; i < 4; i++)
		CHECK(pthread_create(&all[i], NULL, worker, NULL) == 0);
	for (int i = 0; i < 4; i++)
		CHECK(pthread_join(all[i], NULL) == 0);
}

/* A child of the process has none of the threads that the library needs: it is
 * refused, and does not wait for ever. */
static void forked(void)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		alarm(10);
		refused(LUN);
		WANT(ifd.create_by_name(LUN, TOKEN), COMM);
		WANT(ifd.create(LUN, 0), COMM);
		if (poll_function != NULL) {
			WANT(poll_function(LUN, 1000), COMM);
			WANT(stop_function(LUN), COMM);
		}
		_exit(0);
	}
	CHECK(child > 0 && waitpid(child, &status, 0) == child);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static volatile sig_atomic_t signals;

static void count(int number)
{
	(void)number;
	signals++;
}

/* Signals are the host's. */
static void keep_signals(void)
{
	static const int handled[] = { SIGUSR1, SIGTERM, SIGINT, SIGQUIT, SIGALRM };
	int before, ends[2];

	for (size_t i = 0; i < sizeof handled / sizeof *handled; i++) {
		struct sigaction action;

		CHECK(sigaction(handled[i], NULL, &action) == 0 && action.sa_handler == count);
		before = signals;
		CHECK(kill(getpid(), handled[i]) == 0);
		while (signals == before)
			nanosleep(&(struct timespec){ .tv_nsec = 1000 * 1000 }, NULL);
	}
	CHECK(pipe(ends) == 0 && close(ends[0]) == 0);
	CHECK(write(ends[1], "x", 1) == -1); /* SIGPIPE is ignored */
	close(ends[1]);
}

static void round_of_calls(void)
{
	DWORD n;

	WANT(ifd.create_by_name(LUN, NULL), COMM);
	WANT(ifd.create_by_name((DWORD)1 << 40, TOKEN), COMM);
	WANT(ifd.create_by_name(LUN, "usb:0a89/0035:libudev:0:/dev/bus/usb/001/003"), GONE);
	WANT(ifd.create_by_name(LUN, "usb:0a89/0035:libudev:1:/dev/bus/usb/001/002"), GONE);
	WANT(ifd.create_by_name(LUN + 1, TOKEN), GONE);
	refused(LUN);
	WANT(ifd.create_by_name(LUN, TOKEN), OK);
	refused(0);
	refused(LUN + 1);
	refused(LUN | (DWORD)1 << 32);
	WANT(ifd.presence(LUN), OK);
	power();
	capabilities();
	transmit();
	control();
	polling();
	threads();
	forked();
	keep_signals();
	transmit();
	n = 1;
	WANT(ifd.set(LUN, TAG_REMOVED, 1, (UCHAR *)"\1"), OK);
	WANT(ifd.presence(LUN), ABSENT);
	WANT(ifd.transmit(LUN, t1, (UCHAR *)echo, sizeof echo, (UCHAR *)&n, &n, NULL), GONE);
	WANT(ifd.close(LUN), OK);
	refused(LUN);
}

int main(int argc, char **argv)
{
	UCHAR atr[MAX_ATR_SIZE];
	DWORD n;

	CHECK(argc == 2 && sizeof(DWORD) == sizeof(long));
	signal(SIGUSR1, count);
	signal(SIGTERM, count);
	signal(SIGINT, count);
	signal(SIGQUIT, count);
	signal(SIGALRM, count);
	signal(SIGPIPE, SIG_IGN);
	for (int i = 0; i < 3; i++) {
		load(argv[1]);
		forked(); /* before anything was called */
		round_of_calls();
		CHECK(dlclose(ifd.library) == 0);
	}
	/* unloaded with a channel open, and loaded again: the library begins anew */
	for (int i = 0; i < 3; i++) {
		load(argv[1]);
		WANT(ifd.create(LUN, 1), OK);
		WANT(ifd.power(LUN, UP, atr, &n), OK);
		CHECK(dlclose(ifd.library) == 0);
	}
	load(argv[1]);
	WANT(ifd.create_by_name(0, TOKEN), OK); /* under another number even */
	WANT(ifd.presence(0), OK);
	WANT(ifd.close(0), OK);
	WANT(ifd.close(LUN), OK);
	CHECK(dlclose(ifd.library) == 0);
#ifdef LOG
	printf("%d lines, %d dumps in the log\n", lines, dumps);
	CHECK(greetings > 0 && lines > greetings && dumps > 100);
#endif
	return 0;
}
