/*
 * Forks with the module loaded and initialised: the child has to be told at once
 * that it is not, and can sign after its own C_Initialize, and so can its own
 * child; the parent, whose other threads sign all the while, goes on as before.
 *
 * Usage: fork LIBRARY
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../cryptoki.h"

static void *library;

#define CALL(name, ...) (((CK_RV(*)())dlsym(library, #name))(__VA_ARGS__))

static void expect(const char *what, CK_RV got, CK_RV want)
{
	if (got == want)
		return;
	fprintf(stderr, "process %d: %s: %#lx, want %#lx\n", (int)getpid(), what, got, want);
	exit(1);
}

/* use initialises the module and signs with the first private key. */
static CK_SESSION_HANDLE use(CK_OBJECT_HANDLE *key)
{
	CK_ULONG class = 3, n = 0;
	CK_ATTRIBUTE template = {0, &class, sizeof class};
	CK_SESSION_HANDLE session = 0;

	expect("C_Initialize", CALL(C_Initialize, NULL), 0);
	expect("C_OpenSession", CALL(C_OpenSession, 0UL, 4UL, NULL, NULL, &session), 0);
	expect("C_Login", CALL(C_Login, session, 1UL, "12345678", 8UL), 0);
	expect("C_FindObjectsInit", CALL(C_FindObjectsInit, session, &template, 1UL), 0);
	expect("C_FindObjects", CALL(C_FindObjects, session, key, 1UL, &n), 0);
	expect("private keys", n, 1);
	expect("C_FindObjectsFinal", CALL(C_FindObjectsFinal, session), 0);
	return session;
}

static void sign(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key)
{
	CK_MECHANISM mechanism = {0x40, NULL, 0};
	CK_BYTE signature[512];
	CK_ULONG n = sizeof signature;

	expect("C_SignInit", CALL(C_SignInit, session, &mechanism, key), 0);
	expect("C_Sign", CALL(C_Sign, session, "data", 4UL, signature, &n), 0);
}

static void in_child(void (*f)(int), int depth)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		alarm(60); /* a child that hangs must not outlive the test */
		f(depth);
		exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
		fprintf(stderr, "process %d: child %d ended with %#x\n", (int)getpid(), (int)pid, status);
		exit(1);
	}
}

static void descendant(int depth)
{
	CK_OBJECT_HANDLE key = 0;
	CK_SESSION_HANDLE session;
	CK_BYTE info[256];
	CK_ULONG n = 0;

	expect("C_GetInfo before C_Initialize", CALL(C_GetInfo, info), CKR_CRYPTOKI_NOT_INITIALIZED);
	expect("C_GetSlotList before C_Initialize", CALL(C_GetSlotList, 0, NULL, &n), CKR_CRYPTOKI_NOT_INITIALIZED);
	expect("C_Finalize before C_Initialize", CALL(C_Finalize, NULL), CKR_CRYPTOKI_NOT_INITIALIZED);
	session = use(&key);
	sign(session, key);
	if (depth > 0)
		in_child(descendant, depth - 1);
	sign(session, key);
	expect("C_Finalize", CALL(C_Finalize, NULL), 0);
	if (depth > 0) /* with the same descriptors free as this one had */
		in_child(descendant, depth - 1);
	expect("C_Initialize anew", CALL(C_Initialize, NULL), 0);
	expect("C_Finalize anew", CALL(C_Finalize, NULL), 0);
}

static int stop;

static void *signer(void *key)
{
	CK_SESSION_HANDLE session = 0;

	expect("C_OpenSession", CALL(C_OpenSession, 0UL, 4UL, NULL, NULL, &session), 0);
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
		sign(session, *(CK_OBJECT_HANDLE *)key);
	expect("C_CloseSession", CALL(C_CloseSession, session), 0);
	return NULL;
}

int main(int argc, char **argv)
{
	CK_OBJECT_HANDLE key = 0;
	CK_SESSION_HANDLE session;
	pthread_t threads[4];

	alarm(120);
	if (argc != 2 || (library = dlopen(argv[1], RTLD_NOW)) == NULL) {
		fprintf(stderr, "%s\n", argc == 2 ? dlerror() : "usage: fork LIBRARY");
		return 1;
	}
	if (chdir("/") != 0) /* as daemons do */
		return 1;
	in_child(descendant, 0); /* loaded and not initialised */
	session = use(&key);
	sign(session, key);
	for (int i = 0; i < 4; i++)
		if (pthread_create(&threads[i], NULL, signer, &key) != 0)
			return 1;
	in_child(descendant, 2);
	sign(session, key);
	for (int i = 0; i < 5; i++)
		in_child(descendant, 0);
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	sign(session, key);
	expect("C_Finalize", CALL(C_Finalize, NULL), 0);
	return 0;
}
