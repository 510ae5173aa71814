/* A PC/SC client that waits for a card to come and to go, and says when it was
 * told. Links to libpcsclite and knows nothing of this project.
 *
 * Usage: waitclient KIND NAME
 *   Prints "card TIME" when a reader whose name contains NAME holds a card and
 *   "gone TIME" when there is no such reader any more, again and again; TIME is
 *   that of the clock on the wall, in nanoseconds. What it waits for when there
 *   is a card depends on KIND:
 *     readers   any change of the list of readers
 *     state     a change of the one reader
 *     handle    the same, with a connection to the card. It has to be told about
 *               the end of that, too.
 *   Waiting for a card is always waiting for readers. Ends with standard input,
 *   and with status 1 if something is not as it should be.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <winscard.h>

static SCARDCONTEXT context;
static char list[4096];

static void check(const char *what, LONG rv)
{
	if (rv == SCARD_S_SUCCESS)
		return;
	fprintf(stderr, "waitclient: %s: %08lx\n", what, (unsigned long)rv);
	exit(1);
}

static long long now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void say(const char *what, long long when)
{
	printf("%s %lld\n", what, when);
	fflush(stdout);
}

/* a reader of this name, or NULL; list keeps it */
static const char *find(const char *name)
{
	DWORD length = sizeof list;
	LONG rv = SCardListReaders(context, NULL, list, &length);
	if (rv == SCARD_E_NO_READERS_AVAILABLE)
		return NULL;
	check("SCardListReaders", rv);
	for (char *r = list; *r != '\0'; r += strlen(r) + 1)
		if (strstr(r, name) != NULL)
			return r;
	return NULL;
}

/* waits for a change of readers, and of one of them unless it is NULL */
static void wait_for(SCARD_READERSTATE *readers, SCARD_READERSTATE *one)
{
	SCARD_READERSTATE states[2] = { *readers };
	if (one != NULL)
		states[1] = *one;
	check("SCardGetStatusChange", SCardGetStatusChange(context, INFINITE, states, one != NULL ? 2 : 1));
	readers->dwCurrentState = states[0].dwEventState & ~(DWORD)SCARD_STATE_CHANGED;
	if (one != NULL)
		one->dwCurrentState = states[1].dwEventState & ~(DWORD)SCARD_STATE_CHANGED;
}

static void *end_with_input(void *unused)
{
	(void)unused;
	while (getchar() != EOF)
		;
	exit(0);
}

int main(int argc, char **argv)
{
	pthread_t input;
	if (argc != 3)
		check("usage: waitclient KIND NAME", SCARD_E_INVALID_PARAMETER);
	int by_readers = strcmp(argv[1], "readers") == 0, with_handle = strcmp(argv[1], "handle") == 0;
	check("SCardEstablishContext", SCardEstablishContext(SCARD_SCOPE_SYSTEM, NULL, NULL, &context));
	pthread_create(&input, NULL, end_with_input, NULL);

	SCARD_READERSTATE readers = { .szReader = "\\\\?PnP?\\Notification" };
	LONG known = SCardGetStatusChange(context, 0, &readers, 1);
	if (known != SCARD_E_TIMEOUT)
		check("SCardGetStatusChange", known);
	readers.dwCurrentState = readers.dwEventState & ~(DWORD)SCARD_STATE_CHANGED;
	say("waiting", now());
	for (;;) {
		SCARD_READERSTATE state = { 0 };
		while (!(state.dwCurrentState & SCARD_STATE_PRESENT)) {
			state.szReader = find(argv[2]);
			wait_for(&readers, state.szReader != NULL ? &state : NULL);
		}
		long long told = now();
		SCARDHANDLE card = 0;
		DWORD protocol;
		if (with_handle)
			check("SCardConnect", SCardConnect(context, state.szReader, SCARD_SHARE_SHARED, SCARD_PROTOCOL_ANY, &card, &protocol));
		say("card", told);
		while (find(argv[2]) != NULL) {
			if (by_readers) {
				wait_for(&readers, NULL);
				continue;
			}
			LONG rv = SCardGetStatusChange(context, INFINITE, &state, 1);
			if (rv == SCARD_E_UNKNOWN_READER)
				break;
			check("SCardGetStatusChange", rv);
			state.dwCurrentState = state.dwEventState & ~(DWORD)SCARD_STATE_CHANGED;
		}
		say("gone", now());
		if (with_handle) {
			BYTE command[] = { 0x80, 0xEC, 0, 0, 1 }, answer[258];
			DWORD length = sizeof answer;
			LONG rv = SCardTransmit(card, SCARD_PCI_T1, command, sizeof command, NULL, answer, &length);
			if (rv != SCARD_E_READER_UNAVAILABLE && rv != SCARD_W_REMOVED_CARD && rv != SCARD_E_NO_SMARTCARD && rv != SCARD_E_INVALID_VALUE)
				check("SCardTransmit without the token", rv != SCARD_S_SUCCESS ? rv : SCARD_F_UNKNOWN_ERROR);
			check("SCardDisconnect", SCardDisconnect(card, SCARD_LEAVE_CARD));
		}
	}
}
