/*
 * A program that signs with a PKCS #11 module, and does not give up when the token
 * goes away.
 *
 *	signclient rate MODULE PINFILE COUNT
 *		log in, sign COUNT times in one session; prints the microseconds of all
 *		and those of the fastest
 *	signclient once MODULE PINFILE 1
 *		log in, sign, and end
 *	signclient load MODULE PINFILE THREADS
 *		THREADS threads sign until standard input ends; after each line "back"
 *		there, prints "all" as soon as each thread has signed since, and at the
 *		end what the calls returned
 *
 * All signatures are over the same bytes with the same key, and have to be equal.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cryptoki.h"

struct function_list;
struct function_list_3_0;
struct function_list {
	CK_VERSION version;
#define I(name, params, ...) CK_RV(*C_##name) params;
#define F(name, params, ...) CK_RV(*C_##name) params;
#define T(name, params, ...) CK_RV(*C_##name) params;
#define M(name, params, ...) CK_RV(*C_##name) params;
#define FUNCTIONS_2_40
#include "functions.h"
};

static struct function_list *f;
static unsigned char pin[64];
static unsigned long pin_len;

#define USER_ALREADY_LOGGED_IN 0x100UL

static void die(const char *what, CK_RV rv)
{
	fprintf(stderr, "signclient: %s: %#lx\n", what, rv);
	exit(1);
}

static void load(const char *path)
{
	void *library = dlopen(path, RTLD_NOW);
	CK_RV (*list)(struct function_list **);
	CK_C_INITIALIZE_ARGS args = {.flags = 2}; /* CKF_OS_LOCKING_OK */
	CK_RV rv;

	if (library == NULL) {
		fprintf(stderr, "signclient: %s\n", dlerror());
		exit(1);
	}
	*(void **)&list = dlsym(library, "C_GetFunctionList");
	if (list == NULL || (rv = list(&f)) != 0)
		die("C_GetFunctionList", 1);
	if ((rv = f->C_Initialize(&args)) != 0)
		die("C_Initialize", rv);
}

static void read_pin(const char *path)
{
	FILE *in = fopen(path, "r");

	if (in == NULL || fgets((char *)pin, sizeof pin, in) == NULL)
		die("PIN file", 1);
	fclose(in);
	pin_len = strcspn((char *)pin, "\n");
}

static const unsigned char message[] = "to be signed";

/* One session up to the key, ready to sign. */
static CK_RV ready(CK_SESSION_HANDLE *session, CK_OBJECT_HANDLE *key)
{
	CK_SLOT_ID slots[16];
	CK_ULONG n = 16, class = 3; /* CKO_PRIVATE_KEY */
	CK_ATTRIBUTE want = {0, &class, sizeof class};
	CK_RV rv;

	*session = 0;
	if ((rv = f->C_GetSlotList(1, slots, &n)) != 0)
		return rv;
	if (n == 0)
		return 0xE0; /* CKR_TOKEN_NOT_PRESENT */
	if ((rv = f->C_OpenSession(slots[0], 4, NULL, NULL, session)) != 0) /* CKF_SERIAL_SESSION */
		return rv;
	rv = f->C_Login(*session, 1, pin, pin_len);
	if (rv != 0 && rv != USER_ALREADY_LOGGED_IN)
		return rv;
	if ((rv = f->C_FindObjectsInit(*session, &want, 1)) != 0)
		return rv;
	rv = f->C_FindObjects(*session, key, 1, &n);
	f->C_FindObjectsFinal(*session);
	return rv != 0 ? rv : n == 1 ? 0 : 0x82; /* CKR_OBJECT_HANDLE_INVALID */
}

static CK_RV sign(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key, unsigned char *out)
{
	CK_MECHANISM mechanism = {0x40, NULL, 0}; /* CKM_SHA256_RSA_PKCS */
	CK_ULONG n = 256;
	CK_RV rv = f->C_SignInit(session, &mechanism, key);

	if (rv == 0)
		rv = f->C_Sign(session, (unsigned char *)message, sizeof message - 1, out, &n);
	return rv == 0 && n != 128 && n != 256 ? 5 : rv;
}

static int rate(int count)
{
	CK_SESSION_HANDLE session;
	CK_OBJECT_HANDLE key;
	long all = 0, fastest = 0;
	struct timespec a, b;
	unsigned char out[256];
	CK_RV rv = ready(&session, &key);

	if (rv != 0)
		die("log-in", rv);
	if ((rv = sign(session, key, out)) != 0) /* what is read once is not counted */
		die("C_Sign", rv);
	printf("ready\n");
	fflush(stdout);
	if (getchar() == EOF)
		return 1;
	for (int i = 0; i < count; i++) {
		long took;

		clock_gettime(CLOCK_MONOTONIC, &a);
		if ((rv = sign(session, key, out)) != 0)
			die("C_Sign", rv);
		clock_gettime(CLOCK_MONOTONIC, &b);
		took = (b.tv_sec - a.tv_sec) * 1000000 + (b.tv_nsec - a.tv_nsec) / 1000;
		all += took;
		if (i == 0 || took < fastest)
			fastest = took;
	}
	printf("%ld %ld\n", all, fastest);
	fflush(stdout);
	if (getchar() == EOF)
		return 1;
	return f->C_Finalize(NULL) == 0 ? 0 : 1;
}

static int once(void)
{
	CK_SESSION_HANDLE session;
	CK_OBJECT_HANDLE key;
	unsigned char out[256];
	CK_RV rv = ready(&session, &key);

	if (rv != 0)
		die("log-in", rv);
	if ((rv = sign(session, key, out)) != 0)
		die("C_Sign", rv);
	return f->C_Finalize(NULL) == 0 ? 0 : 1;
}

static atomic_int over, wrong, back, signatures, since_back, threads;
static unsigned char first[256];
static pthread_once_t keep_once = PTHREAD_ONCE_INIT;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
	CK_RV rv;
	long n;
} seen[64];

static void count(CK_RV rv)
{
	pthread_mutex_lock(&lock);
	for (int i = 0; i < 64; i++)
		if (seen[i].n == 0 || seen[i].rv == rv) {
			seen[i].rv = rv;
			seen[i].n++;
			break;
		}
	pthread_mutex_unlock(&lock);
}

static unsigned char *model;

static void keep(void) { memcpy(first, model, sizeof first); }

static void *work(void *arg)
{
	CK_SESSION_HANDLE session;
	CK_OBJECT_HANDLE key;
	unsigned char out[256];
	int round, told = 0;

	(void)arg;
	while (!over) {
		CK_RV rv = ready(&session, &key);

		while (rv == 0 && !over) {
			round = back; /* before the signature is begun */
			if ((rv = sign(session, key, out)) != 0)
				break;
			pthread_mutex_lock(&lock);
			model = out;
			pthread_once(&keep_once, keep);
			pthread_mutex_unlock(&lock);
			if (memcmp(out, first, sizeof out) != 0)
				wrong++;
			signatures++;
			if (round != told) {
				told = round;
				if (++since_back == threads) {
					printf("all\n");
					fflush(stdout);
				}
			}
		}
		count(rv);
		if (session != 0)
			f->C_CloseSession(session);
		if (rv != 0)
			usleep(20000);
	}
	return NULL;
}

static int loaded(int n)
{
	pthread_t thread[64];
	char line[64];

	threads = n > 64 ? 64 : n;
	for (int i = 0; i < threads; i++)
		pthread_create(&thread[i], NULL, work, NULL);
	while (fgets(line, sizeof line, stdin) != NULL)
		if (strcmp(line, "back\n") == 0) {
			since_back = 0;
			back++;
		}
	over = 1;
	for (int i = 0; i < threads; i++)
		pthread_join(thread[i], NULL);
	printf("signatures %d, wrong %d\n", signatures, wrong);
	for (int i = 0; i < 64 && seen[i].n != 0; i++)
		printf("returned %#lx %ld times\n", seen[i].rv, seen[i].n);
	return f->C_Finalize(NULL) == 0 && wrong == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
	if (argc != 5)
		return 2;
	read_pin(argv[3]);
	load(argv[2]);
	if (strcmp(argv[1], "once") == 0)
		return once();
	return strcmp(argv[1], "rate") == 0 ? rate(atoi(argv[4])) : loaded(atoi(argv[4]));
}
