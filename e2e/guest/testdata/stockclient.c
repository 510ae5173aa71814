/* A PC/SC client as any C program has it: what the stock stack answers, and how
 * fast. Links to libpcsclite and knows nothing of this project.
 *
 * Usage: stockclient PAUSE NAME
 *   Waits up to 20 s for a reader whose name contains NAME to hold a card,
 *   connects to it with the protocol the driver chooses and prints "ATR <hex>".
 *   Then it reads APDUs from standard input, one in hex per line, sends each
 *   after PAUSE milliseconds, and prints the answer in hex and the nanoseconds
 *   SCardTransmit took. Ends with status 1 if there is no answer.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <winscard.h>

#define LONGEST (65536 + 2)

static SCARDCONTEXT context;
static SCARDHANDLE card;
static DWORD protocol;

static int fail(const char *what, LONG rv)
{
	fprintf(stderr, "stockclient: %s: %08lx\n", what, (unsigned long)rv);
	return 1;
}

/* waits until the service is up and has a reader of this name with a card in it */
static const char *find(const char *name)
{
	static char list[4096];
	time_t end = time(NULL) + 20;
	while (SCardEstablishContext(SCARD_SCOPE_SYSTEM, NULL, NULL, &context) != SCARD_S_SUCCESS) {
		if (time(NULL) >= end)
			return NULL;
		nanosleep(&(struct timespec){ .tv_nsec = 50 * 1000 * 1000 }, NULL);
	}
	while (time(NULL) < end) {
		DWORD length = sizeof list;
		SCARD_READERSTATE state = { .szReader = "\\\\?PnP?\\Notification" };
		if (SCardListReaders(context, NULL, list, &length) == SCARD_S_SUCCESS)
			for (char *r = list; *r != '\0'; r += strlen(r) + 1)
				if (strstr(r, name) != NULL)
					state.szReader = r;
		SCardGetStatusChange(context, 0, &state, 1);
		if (state.dwEventState & SCARD_STATE_PRESENT)
			return state.szReader;
		state.dwCurrentState = state.dwEventState;
		SCardGetStatusChange(context, 200, &state, 1);
	}
	return NULL;
}

static void print(const char *prefix, const BYTE *bytes, DWORD count)
{
	fputs(prefix, stdout);
	for (DWORD i = 0; i < count; i++)
		printf("%02X", bytes[i]);
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return fail("usage: stockclient PAUSE NAME", 0);
	long pause = atol(argv[1]) * 1000 * 1000;

	BYTE atr[MAX_ATR_SIZE];
	DWORD atr_length = sizeof atr;
	const char *reader = find(argv[2]);
	if (reader == NULL)
		return fail("no service, or no such reader with a card", SCARD_E_NO_SMARTCARD);
	LONG rv = SCardConnect(context, reader, SCARD_SHARE_EXCLUSIVE, SCARD_PROTOCOL_ANY, &card, &protocol);
	if (rv != SCARD_S_SUCCESS)
		return fail("SCardConnect", rv);
	rv = SCardStatus(card, NULL, NULL, NULL, NULL, atr, &atr_length);
	if (rv != SCARD_S_SUCCESS)
		return fail("SCardStatus", rv);
	print("ATR ", atr, atr_length);
	putchar('\n');
	fflush(stdout);

	static char line[2 * LONGEST + 64];
	static BYTE command[LONGEST], answer[LONGEST];
	while (fgets(line, sizeof line, stdin) != NULL) {
		DWORD length = 0;
		for (unsigned byte; sscanf(line + 2 * length, "%2x", &byte) == 1;)
			command[length++] = byte;
		DWORD answer_length = sizeof answer;
		const SCARD_IO_REQUEST *pci = protocol == SCARD_PROTOCOL_T0 ? SCARD_PCI_T0 : SCARD_PCI_T1;
		struct timespec before, after;
		nanosleep(&(struct timespec){ .tv_sec = pause / 1000000000, .tv_nsec = pause % 1000000000 }, NULL);
		clock_gettime(CLOCK_MONOTONIC, &before);
		rv = SCardTransmit(card, pci, command, length, NULL, answer, &answer_length);
		clock_gettime(CLOCK_MONOTONIC, &after);
		if (rv != SCARD_S_SUCCESS)
			return fail("SCardTransmit", rv);
		print("", answer, answer_length);
		printf(" %lld\n", (after.tv_sec - before.tv_sec) * 1000000000LL + after.tv_nsec - before.tv_nsec);
	}
	SCardDisconnect(card, SCARD_LEAVE_CARD);
	SCardReleaseContext(context);
	return 0;
}
