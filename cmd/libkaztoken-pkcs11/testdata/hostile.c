/*
 * Calls every function of the module with null, short and hostile arguments, and
 * wants the code that the standard names (PKCS #11 v2.40 and v3.0, §5). Buffers end
 * where memory ends, so that a byte too many is a fault.
 *
 * Usage: hostile LIBRARY. The token has one key pair of 1024 bits.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../cryptoki.h"

struct list {
	CK_VERSION version;
#define F(name, params, args) CK_RV(*C_##name) params;
#define I F
#define M F
#define T(name, params) F(name, params, ())
#define FUNCTIONS_2_40
#define FUNCTIONS_3_0
#include "../functions.h"
#undef F
#undef T
};

enum function {
#define F(name, params, args) n_##name,
#define T(name, params) n_##name,
#include "../functions.h"
#undef F
#undef T
	functions
};

static const char *const names[] = {
#define F(name, params, args) "C_" #name,
#define T(name, params) "C_" #name,
#include "../functions.h"
};

static struct list *f;
static int called[functions];
static int failures;

static void check(int line, enum function n, CK_RV got, CK_RV want)
{
	called[n]++;
	if (got == want)
		return;
	printf("line %d: %s: %#lx, want %#lx\n", line, names[n], got, want);
	failures++;
}

#define WANT(code, name, ...) check(__LINE__, n_##name, f->C_##name(__VA_ARGS__), code)

enum {
	SLOT_ID_INVALID = 0x3,
	ARGUMENTS_BAD = 0x7,
	NO_EVENT = 0x8,
	ATTRIBUTE_TYPE_INVALID = 0x12,
	ATTRIBUTE_VALUE_INVALID = 0x13,
	ATTRIBUTE_SENSITIVE = 0x11,
	DATA_LEN_RANGE = 0x21,
	ENCRYPTED_DATA_LEN_RANGE = 0x41,
	FUNCTION_NOT_PARALLEL = 0x51,
	FUNCTION_NOT_SUPPORTED = 0x54,
	KEY_HANDLE_INVALID = 0x60,
	KEY_TYPE_INCONSISTENT = 0x63,
	KEY_INDIGESTIBLE = 0x67,
	MECHANISM_INVALID = 0x70,
	MECHANISM_PARAM_INVALID = 0x71,
	OBJECT_HANDLE_INVALID = 0x82,
	OPERATION_ACTIVE = 0x90,
	OPERATION_NOT_INITIALIZED = 0x91,
	PIN_LEN_RANGE = 0xA2,
	SESSION_HANDLE_INVALID = 0xB3,
	SESSION_PARALLEL_NOT_SUPPORTED = 0xB4,
	SESSION_READ_ONLY = 0xB5,
	SESSION_EXISTS = 0xB6,
	SIGNATURE_INVALID = 0xC0,
	SIGNATURE_LEN_RANGE = 0xC1,
	TEMPLATE_INCOMPLETE = 0xD0,
	TEMPLATE_INCONSISTENT = 0xD1,
	USER_ALREADY_LOGGED_IN = 0x100,
	USER_NOT_LOGGED_IN = 0x101,
	USER_TYPE_INVALID = 0x103,
	RANDOM_SEED_NOT_SUPPORTED = 0x120,
	BUFFER_TOO_SMALL = 0x150,
	SAVED_STATE_INVALID = 0x160,
	CRYPTOKI_ALREADY_INITIALIZED = 0x191,
};
#define OK 0UL
#define NOT_INITIALIZED 0x190UL

#define MANY (~0UL)	  /* as a length: more than there can be */
#define NONE 0xDEADBEEFUL /* as a handle: none that was given */

/* edge gives n bytes with no memory behind them. */
static void *edge(size_t n)
{
	size_t page = sysconf(_SC_PAGESIZE), all = (n + page - 1) / page * page + page;
	unsigned char *p = mmap(NULL, all, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED || mprotect(p + all - page, page, PROT_NONE) != 0)
		exit(1);
	return p + all - page - n;
}

/* Every function without arguments, of a session if it has one. */
static void nothing(CK_SESSION_HANDLE s, int initialized, CK_RV unsupported, CK_RV none)
{
	CK_RV bad = initialized ? ARGUMENTS_BAD : NOT_INITIALIZED;
#define BAD(name, ...) WANT(bad, name, __VA_ARGS__)
#define UNSUPPORTED(name, ...) WANT(unsupported, name, __VA_ARGS__)

	BAD(GetInfo, NULL);
	BAD(GetSlotList, 0, NULL, NULL);
	BAD(GetSlotInfo, 0, NULL);
	BAD(GetTokenInfo, 0, NULL);
	BAD(GetMechanismList, 0, NULL, NULL);
	BAD(GetMechanismInfo, 0, 0, NULL);
	BAD(InitToken, 0, NULL, 0, NULL);
	BAD(InitPIN, s, NULL, 8);
	BAD(SetPIN, s, NULL, 8, NULL, 8);
	BAD(OpenSession, 0, 6, NULL, NULL, NULL);
	BAD(GetSessionInfo, s, NULL);
	BAD(GetOperationState, s, NULL, NULL);
	BAD(SetOperationState, s, NULL, 8, 0, 0);
	BAD(Login, s, 1, NULL, 8);
	BAD(LoginUser, s, 1, NULL, 8, NULL, 0);
	BAD(CreateObject, s, NULL, 0, NULL);
	BAD(CreateObject, s, NULL, 3, NULL);
	BAD(CopyObject, s, 1, NULL, 1, NULL);
	BAD(GetObjectSize, s, 1, NULL);
	BAD(GetAttributeValue, s, 1, NULL, 1);
	BAD(SetAttributeValue, s, 1, NULL, 1);
	BAD(FindObjectsInit, s, NULL, 1);
	BAD(FindObjects, s, NULL, 1, NULL);
	BAD(Encrypt, s, NULL, 1, NULL, NULL);
	BAD(EncryptUpdate, s, NULL, 1, NULL, NULL);
	BAD(EncryptFinal, s, NULL, NULL);
	BAD(Decrypt, s, NULL, 1, NULL, NULL);
	BAD(DecryptUpdate, s, NULL, 1, NULL, NULL);
	BAD(DecryptFinal, s, NULL, NULL);
	BAD(Digest, s, NULL, 1, NULL, NULL);
	BAD(DigestUpdate, s, NULL, 1);
	BAD(DigestFinal, s, NULL, NULL);
	BAD(Sign, s, NULL, 1, NULL, NULL);
	BAD(SignUpdate, s, NULL, 1);
	BAD(SignFinal, s, NULL, NULL);
	BAD(SignRecover, s, NULL, 1, NULL, NULL);
	BAD(Verify, s, NULL, 1, NULL, 1);
	BAD(VerifyUpdate, s, NULL, 1);
	BAD(VerifyFinal, s, NULL, 1);
	BAD(VerifyRecover, s, NULL, 1, NULL, NULL);
	BAD(GenerateKeyPair, s, NULL, NULL, 0, NULL, 0, NULL, NULL);
	BAD(GenerateRandom, s, NULL, 1);
	BAD(SeedRandom, s, NULL, 1);
	BAD(WaitForSlotEvent, CKF_DONT_BLOCK, NULL, NULL);

	/* Without a mechanism, an operation that there is ends: there is none. */
	WANT(none, EncryptInit, s, NULL, 1);
	WANT(none, DecryptInit, s, NULL, 1);
	WANT(none, DigestInit, s, NULL);
	WANT(none, SignInit, s, NULL, 1);
	WANT(none, SignRecoverInit, s, NULL, 1);
	WANT(none, VerifyInit, s, NULL, 1);
	WANT(none, VerifyRecoverInit, s, NULL, 1);

	WANT(initialized ? FUNCTION_NOT_PARALLEL : NOT_INITIALIZED, GetFunctionStatus, s);
	WANT(initialized ? FUNCTION_NOT_PARALLEL : NOT_INITIALIZED, CancelFunction, s);
	UNSUPPORTED(DigestEncryptUpdate, s, NULL, 1, NULL, NULL);
	UNSUPPORTED(DecryptDigestUpdate, s, NULL, 1, NULL, NULL);
	UNSUPPORTED(SignEncryptUpdate, s, NULL, 1, NULL, NULL);
	UNSUPPORTED(DecryptVerifyUpdate, s, NULL, 1, NULL, NULL);
	UNSUPPORTED(GenerateKey, s, NULL, NULL, 1, NULL);
	UNSUPPORTED(WrapKey, s, NULL, 1, 1, NULL, NULL);
	UNSUPPORTED(UnwrapKey, s, NULL, 1, NULL, 1, NULL, 1, NULL);
	UNSUPPORTED(DeriveKey, s, NULL, 1, NULL, 1, NULL);
	UNSUPPORTED(MessageEncryptInit, s, NULL, 1);
	UNSUPPORTED(EncryptMessage, s, NULL, 1, NULL, 1, NULL, 1, NULL, NULL);
	UNSUPPORTED(EncryptMessageBegin, s, NULL, 1, NULL, 1);
	UNSUPPORTED(EncryptMessageNext, s, NULL, 1, NULL, 1, NULL, NULL, 0);
	UNSUPPORTED(MessageEncryptFinal, s);
	UNSUPPORTED(MessageDecryptInit, s, NULL, 1);
	UNSUPPORTED(DecryptMessage, s, NULL, 1, NULL, 1, NULL, 1, NULL, NULL);
	UNSUPPORTED(DecryptMessageBegin, s, NULL, 1, NULL, 1);
	UNSUPPORTED(DecryptMessageNext, s, NULL, 1, NULL, 1, NULL, NULL, 0);
	UNSUPPORTED(MessageDecryptFinal, s);
	UNSUPPORTED(MessageSignInit, s, NULL, 1);
	UNSUPPORTED(SignMessage, s, NULL, 1, NULL, 1, NULL, NULL);
	UNSUPPORTED(SignMessageBegin, s, NULL, 1);
	UNSUPPORTED(SignMessageNext, s, NULL, 1, NULL, 1, NULL, NULL);
	UNSUPPORTED(MessageSignFinal, s);
	UNSUPPORTED(MessageVerifyInit, s, NULL, 1);
	UNSUPPORTED(VerifyMessage, s, NULL, 1, NULL, 1, NULL, 1);
	UNSUPPORTED(VerifyMessageBegin, s, NULL, 1);
	UNSUPPORTED(VerifyMessageNext, s, NULL, 1, NULL, 1, NULL, 1);
	UNSUPPORTED(MessageVerifyFinal, s);
}

static CK_MECHANISM sha256 = {0x250, NULL, 0}, sign = {0x40, NULL, 0}, pkcs = {1, NULL, 0}, x509 = {3, NULL, 0};

/* A session that is none, with arguments that are good. */
static void no_session(CK_SESSION_HANDLE s)
{
	CK_BYTE buf[256] = "12345678";
	CK_ULONG n = sizeof buf, type = 0;
	CK_SESSION_INFO info;
	CK_ATTRIBUTE a = {0, &type, sizeof type};
	CK_OBJECT_HANDLE o, p;
	CK_MECHANISM pair = {0, NULL, 0};
#define LOST(name, ...) WANT(SESSION_HANDLE_INVALID, name, __VA_ARGS__)

	LOST(CloseSession, s);
	LOST(GetSessionInfo, s, &info);
	LOST(InitPIN, s, buf, 8);
	LOST(SetPIN, s, buf, 8, buf, 8);
	LOST(GetOperationState, s, buf, &n);
	LOST(SetOperationState, s, buf, 8, 0, 0);
	LOST(Login, s, 1, buf, 8);
	LOST(LoginUser, s, 1, buf, 8, NULL, 0);
	LOST(LoginUser, s, 1, buf, 8, buf, 8);
	LOST(Logout, s);
	LOST(SessionCancel, s, 0x800);
	LOST(CreateObject, s, &a, 1, &o);
	LOST(CopyObject, s, 1, &a, 1, &o);
	LOST(DestroyObject, s, 1);
	LOST(GetObjectSize, s, 1, &n);
	LOST(GetAttributeValue, s, 1, &a, 1);
	LOST(SetAttributeValue, s, 1, &a, 1);
	LOST(FindObjectsInit, s, &a, 1);
	LOST(FindObjects, s, &o, 1, &n);
	LOST(FindObjectsFinal, s);
	LOST(EncryptInit, s, &pkcs, 1);
	LOST(Encrypt, s, buf, 1, buf, &n);
	LOST(EncryptUpdate, s, buf, 1, buf, &n);
	LOST(EncryptFinal, s, buf, &n);
	LOST(DecryptInit, s, &pkcs, 1);
	LOST(Decrypt, s, buf, 1, buf, &n);
	LOST(DecryptUpdate, s, buf, 1, buf, &n);
	LOST(DecryptFinal, s, buf, &n);
	LOST(DigestInit, s, &sha256);
	LOST(Digest, s, buf, 1, buf, &n);
	LOST(DigestUpdate, s, buf, 1);
	LOST(DigestKey, s, 1);
	LOST(DigestFinal, s, buf, &n);
	LOST(SignInit, s, &sign, 1);
	LOST(Sign, s, buf, 1, buf, &n);
	LOST(SignUpdate, s, buf, 1);
	LOST(SignFinal, s, buf, &n);
	LOST(SignRecoverInit, s, &pkcs, 1);
	LOST(SignRecover, s, buf, 1, buf, &n);
	LOST(VerifyInit, s, &sign, 1);
	LOST(Verify, s, buf, 1, buf, 1);
	LOST(VerifyUpdate, s, buf, 1);
	LOST(VerifyFinal, s, buf, 1);
	LOST(VerifyRecoverInit, s, &pkcs, 1);
	LOST(VerifyRecover, s, buf, 1, buf, &n);
	LOST(GenerateKeyPair, s, &pair, &a, 1, &a, 1, &o, &p);
	LOST(SeedRandom, s, buf, 1);
	LOST(GenerateRandom, s, buf, 1);
	LOST(GenerateKey, s, &sha256, &a, 1, &o);
	LOST(MessageSignInit, s, &sign, 1);
}

/* find gives the one object of a class. */
static CK_OBJECT_HANDLE find(CK_SESSION_HANDLE s, CK_ULONG class)
{
	CK_ATTRIBUTE a = {0, &class, sizeof class};
	CK_OBJECT_HANDLE *o = edge(sizeof *o);
	CK_ULONG n = 7;

	WANT(OK, FindObjectsInit, s, &a, 1);
	WANT(OPERATION_ACTIVE, FindObjectsInit, s, &a, 1);
	WANT(OK, FindObjects, s, o, 0, &n);
	WANT(OK, FindObjects, s, o, n != 0, &n); /* 0: as before; nothing was found yet */
	WANT(OK, FindObjects, s, o, 1, &n);
	if (n != 1) {
		printf("%lu objects of class %lu\n", n, class);
		exit(1);
	}
	WANT(OK, FindObjects, s, o, MANY, &n);
	WANT(OK, FindObjectsFinal, s);
	WANT(OPERATION_NOT_INITIALIZED, FindObjectsFinal, s);
	WANT(OPERATION_NOT_INITIALIZED, FindObjects, s, o, 1, &n);
	return *o;
}

static void slots(void)
{
	CK_SLOT_ID *ids = edge(sizeof *ids);
	CK_ULONG n = 0, *types;
	CK_SLOT_INFO *info = edge(sizeof *info);
	CK_TOKEN_INFO *token = edge(sizeof *token);
	CK_MECHANISM_INFO *mechanism = edge(sizeof *mechanism);
	CK_SESSION_HANDLE s = 0;
	CK_BYTE label[32], pin[8] = "87654321";

	memset(label, ' ', sizeof label);
	WANT(BUFFER_TOO_SMALL, GetSlotList, 1, ids, &n);
	if (n != 1)
		printf("%lu slots\n", n), failures++;
	n = MANY;
	WANT(OK, GetSlotList, 1, ids, &n);
	WANT(OK, GetSlotList, 0xFF, ids, &n);
	WANT(OK, GetSlotInfo, *ids, info);
	WANT(OK, GetTokenInfo, *ids, token);
	WANT(SLOT_ID_INVALID, GetSlotInfo, NONE, info);
	WANT(SLOT_ID_INVALID, GetTokenInfo, MANY, token);
	n = 1;
	WANT(SLOT_ID_INVALID, GetMechanismList, MANY, NULL, &n);
	WANT(BUFFER_TOO_SMALL, GetMechanismList, *ids, (types = edge(sizeof *types)), &n);
	types = edge(n * sizeof *types);
	WANT(OK, GetMechanismList, *ids, types, &n);
	for (CK_ULONG i = 0; i < n; i++)
		WANT(OK, GetMechanismInfo, *ids, types[i], mechanism);
	WANT(MECHANISM_INVALID, GetMechanismInfo, *ids, MANY, mechanism);
	WANT(SLOT_ID_INVALID, GetMechanismInfo, MANY, 0, mechanism);
	WANT(SLOT_ID_INVALID, OpenSession, MANY, 6, NULL, NULL, &s);
	WANT(SESSION_PARALLEL_NOT_SUPPORTED, OpenSession, *ids, 0, NULL, NULL, &s);
	WANT(SESSION_PARALLEL_NOT_SUPPORTED, OpenSession, *ids, MANY & ~4UL, NULL, NULL, &s);
	WANT(SLOT_ID_INVALID, CloseAllSessions, MANY);
	WANT(SLOT_ID_INVALID, InitToken, MANY, pin, 8, label);
	WANT(OK, OpenSession, *ids, 6, NULL, NULL, &s);
	WANT(SESSION_EXISTS, InitToken, *ids, pin, 8, label);
	WANT(ARGUMENTS_BAD, InitToken, *ids, pin, MANY, label);
	WANT(OK, CloseAllSessions, *ids);
	WANT(SESSION_HANDLE_INVALID, CloseSession, s);
	do /* what happened so far */
		called[n_WaitForSlotEvent]++;
	while (f->C_WaitForSlotEvent(CKF_DONT_BLOCK, ids, NULL) == OK);
	WANT(NO_EVENT, WaitForSlotEvent, CKF_DONT_BLOCK, ids, NULL);
	WANT(ARGUMENTS_BAD, WaitForSlotEvent, CKF_DONT_BLOCK, ids, &n);
}

static void logins(CK_SESSION_HANDLE s, CK_SESSION_HANDLE ro)
{
	CK_BYTE pin[64] = "12345678";

	WANT(USER_NOT_LOGGED_IN, Logout, s);
	WANT(USER_TYPE_INVALID, Login, s, 7, pin, 8);
	WANT(USER_TYPE_INVALID, Login, s, MANY, pin, 8);
	WANT(OPERATION_NOT_INITIALIZED, Login, s, 2, pin, 8);
	WANT(ARGUMENTS_BAD, Login, s, 1, pin, MANY);
	WANT(ARGUMENTS_BAD, LoginUser, s, 1, pin, 8, NULL, 8);
	WANT(USER_NOT_LOGGED_IN, InitPIN, s, pin, 8);
	WANT(SESSION_READ_ONLY, SetPIN, ro, pin, 8, pin, 8);
	WANT(ARGUMENTS_BAD, SetPIN, s, pin, MANY, pin, 8);
	WANT(ARGUMENTS_BAD, SetPIN, s, pin, 8, pin, MANY);
	WANT(PIN_LEN_RANGE, SetPIN, s, pin, 8, pin, 0);
	WANT(PIN_LEN_RANGE, SetPIN, s, pin, 8, pin, 3);
	WANT(PIN_LEN_RANGE, SetPIN, s, pin, 8, pin, sizeof pin);
	WANT(OK, Login, s, 1, pin, 8);
	WANT(USER_ALREADY_LOGGED_IN, Login, ro, 1, pin, 8);
	WANT(USER_ALREADY_LOGGED_IN, LoginUser, ro, 1, pin, 8, NULL, 0);
	WANT(USER_NOT_LOGGED_IN, InitPIN, s, pin, 8);
}

static void objects(CK_SESSION_HANDLE s, CK_SESSION_HANDLE ro, CK_OBJECT_HANDLE priv)
{
	CK_BYTE *two = edge(2), yes = 1;
	CK_ULONG n, class = 0, *one = edge(sizeof *one);
	CK_OBJECT_HANDLE o = NONE, p;
	CK_MECHANISM pair = {0, NULL, 0};
	CK_ATTRIBUTE *a = edge(2 * sizeof *a); /* ends where memory does */
	CK_ATTRIBUTE data[] = {{0, &class, sizeof class}, {1, &yes, 1}, {3, "note", 4}, {0x11, &yes, 1}};

	/* C_GetAttributeValue: lengths alone, too short, of what is none, of what is hidden. */
	a[0] = (CK_ATTRIBUTE){0x102, NULL, 12345}; /* CKA_ID */
	a[1] = (CK_ATTRIBUTE){0x100, two, 2};
	WANT(BUFFER_TOO_SMALL, GetAttributeValue, s, priv, a, 2);
	if (a[0].valueLen != 1 || a[1].valueLen != MANY)
		printf("lengths %lu, %lu\n", a[0].valueLen, a[1].valueLen), failures++;
	a[0] = (CK_ATTRIBUTE){0x123, two, 2}; /* CKA_PRIVATE_EXPONENT */
	a[1] = (CK_ATTRIBUTE){0x100, one, sizeof *one};
	WANT(ATTRIBUTE_SENSITIVE, GetAttributeValue, s, priv, a, 2);
	if (a[0].valueLen != MANY || a[1].valueLen != sizeof *one || *one != 0)
		printf("lengths %lu, %lu\n", a[0].valueLen, a[1].valueLen), failures++;
	a[0].type = MANY;
	WANT(ATTRIBUTE_TYPE_INVALID, GetAttributeValue, s, priv, a, 2);
	WANT(OBJECT_HANDLE_INVALID, GetAttributeValue, s, NONE, a, 2);
	WANT(OBJECT_HANDLE_INVALID, GetAttributeValue, s, 0, a, 2);
	WANT(ARGUMENTS_BAD, GetAttributeValue, s, priv, a, MANY);
	a[0] = (CK_ATTRIBUTE){3, two, MANY}; /* says more than there is */
	a[1] = (CK_ATTRIBUTE){3, two, 2};
	WANT(OK, GetAttributeValue, s, priv, a, 2);

	a[0] = (CK_ATTRIBUTE){3, NULL, 5};
	WANT(ATTRIBUTE_VALUE_INVALID, SetAttributeValue, s, priv, a, 1);
	a[0].value = two, a[0].valueLen = MANY;
	WANT(ATTRIBUTE_VALUE_INVALID, SetAttributeValue, s, priv, a, 1);
	WANT(ATTRIBUTE_VALUE_INVALID, CreateObject, s, a, 1, &o);
	WANT(ATTRIBUTE_VALUE_INVALID, FindObjectsInit, s, a, 1);
	a[0].valueLen = 2;
	WANT(ARGUMENTS_BAD, SetAttributeValue, s, priv, a, MANY);
	WANT(OBJECT_HANDLE_INVALID, SetAttributeValue, s, NONE, a, 1);
	WANT(SESSION_READ_ONLY, SetAttributeValue, ro, priv, a, 1);

	WANT(TEMPLATE_INCOMPLETE, CreateObject, s, NULL, 0, &o);
	WANT(TEMPLATE_INCOMPLETE, CreateObject, s, a, 1, &o);
	WANT(ARGUMENTS_BAD, CreateObject, s, a, MANY, &o);
	a[0] = (CK_ATTRIBUTE){0, two, 2}; /* a class of two bytes */
	WANT(ATTRIBUTE_VALUE_INVALID, CreateObject, s, a, 1, &o);
	class = MANY;
	a[0] = (CK_ATTRIBUTE){0, &class, sizeof class};
	WANT(ATTRIBUTE_VALUE_INVALID, CreateObject, s, a, 1, &o);
	class = 0;
	a[1] = a[0];
	WANT(TEMPLATE_INCONSISTENT, CreateObject, s, a, 2, &o);
	WANT(SESSION_READ_ONLY, CreateObject, ro, data, 4, &o);
	WANT(OK, CreateObject, s, data, 4, &o);
	WANT(OK, GetObjectSize, s, o, &n);
	WANT(OBJECT_HANDLE_INVALID, GetObjectSize, s, NONE, &n);
	WANT(OBJECT_HANDLE_INVALID, CopyObject, s, NONE, NULL, 0, &p);
	WANT(ARGUMENTS_BAD, CopyObject, s, o, a, MANY, &p);
	WANT(SESSION_READ_ONLY, DestroyObject, ro, o);
	WANT(OK, DestroyObject, s, o);
	WANT(OBJECT_HANDLE_INVALID, DestroyObject, s, o);
	WANT(OBJECT_HANDLE_INVALID, DestroyObject, s, 0);

	WANT(ARGUMENTS_BAD, GenerateKeyPair, s, &pair, a, MANY, a, 1, &o, &p);
	WANT(ARGUMENTS_BAD, GenerateKeyPair, s, &pair, a, 1, NULL, 1, &o, &p);
	WANT(MECHANISM_INVALID, GenerateKeyPair, s, &sha256, NULL, 0, NULL, 0, &o, &p);
	WANT(TEMPLATE_INCOMPLETE, GenerateKeyPair, s, &pair, NULL, 0, NULL, 0, &o, &p);
}

static void digests(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE priv)
{
	CK_BYTE *out = edge(32), *none = (CK_BYTE *)edge(0), *state = edge(512);
	CK_ULONG n = 31;
	CK_MECHANISM m = {MANY, NULL, 0};

	WANT(MECHANISM_INVALID, DigestInit, s, &m);
	WANT(MECHANISM_INVALID, DigestInit, s, &sign);
	m = (CK_MECHANISM){0x250, NULL, 5};
	WANT(MECHANISM_PARAM_INVALID, DigestInit, s, &m);
	m = (CK_MECHANISM){0x250, out, MANY};
	WANT(MECHANISM_PARAM_INVALID, DigestInit, s, &m);
	WANT(OPERATION_NOT_INITIALIZED, Digest, s, none, 0, out, &n);
	WANT(OPERATION_NOT_INITIALIZED, DigestUpdate, s, none, 0);
	WANT(OPERATION_NOT_INITIALIZED, DigestFinal, s, out, &n);
	WANT(OPERATION_NOT_INITIALIZED, DigestKey, s, priv);
	WANT(OPERATION_NOT_INITIALIZED, GetOperationState, s, state, &n);
	WANT(OK, DigestInit, s, &sha256);
	WANT(OPERATION_ACTIVE, DigestInit, s, &sha256);
	WANT(KEY_INDIGESTIBLE, DigestKey, s, priv);
	WANT(KEY_HANDLE_INVALID, DigestKey, s, NONE);
	WANT(BUFFER_TOO_SMALL, Digest, s, none, 0, out + 1, &n);
	WANT(OK, Digest, s, none, 0, NULL, &n);
	WANT(OK, Digest, s, NULL, 0, out, &n);
	if (n != 32 || out[0] != 0xE3 || out[31] != 0x55) /* FIPS 180-4: of nothing */
		printf("digest of %lu bytes\n", n), failures++;
	WANT(OK, DigestInit, s, &sha256);
	WANT(ARGUMENTS_BAD, DigestUpdate, s, out, MANY);
	WANT(OK, DigestUpdate, s, out, 32);
	n = 3;
	WANT(BUFFER_TOO_SMALL, GetOperationState, s, state, &n);
	WANT(OK, GetOperationState, s, state, &n);
	n = 0;
	WANT(BUFFER_TOO_SMALL, DigestFinal, s, none, &n);
	n = MANY; /* says more than there is */
	WANT(OK, DigestFinal, s, out, &n);
	WANT(SAVED_STATE_INVALID, SetOperationState, s, state, 3, 0, 0);
	WANT(SAVED_STATE_INVALID, SetOperationState, s, state, 5, 0, 0);
	WANT(SAVED_STATE_INVALID, SetOperationState, s, state, 0, 0, 0);
	memset(state, 0xFF, 512);
	WANT(SAVED_STATE_INVALID, SetOperationState, s, state, 512, 0, 0);
	WANT(ARGUMENTS_BAD, SetOperationState, s, state, MANY, 0, 0);
	WANT(OK, SessionCancel, s, MANY);
}

static void keys(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE priv, CK_OBJECT_HANDLE pub)
{
	enum { SIZE = 128 };
	CK_BYTE *out = edge(SIZE), *in = edge(SIZE), *none = edge(0), *odd = edge(sizeof(CK_RSA_PKCS_PSS_PARAMS) + 1);
	CK_ULONG n = SIZE;
	CK_RSA_PKCS_PSS_PARAMS pss = {0x250, 2, 32}, huge = {0x250, 2, MANY};
	CK_RSA_PKCS_OAEP_PARAMS oaep = {0x250, 2, 1, NULL, MANY};
	CK_MECHANISM m;

	memset(in, 0x5A, SIZE);
#define INIT(name, good, key, other)                                         \
	do {                                                                 \
		m = (CK_MECHANISM){MANY, NULL, 0};                           \
		WANT(MECHANISM_INVALID, name, s, &m, key);                   \
		WANT(MECHANISM_INVALID, name, s, &sha256, key);              \
		m = (CK_MECHANISM){(good)->mechanism, in, 3};                \
		WANT(MECHANISM_PARAM_INVALID, name, s, &m, key);             \
		m = (CK_MECHANISM){(good)->mechanism, NULL, 3};              \
		WANT(MECHANISM_PARAM_INVALID, name, s, &m, key);             \
		m = (CK_MECHANISM){(good)->mechanism, in, MANY};             \
		WANT(MECHANISM_PARAM_INVALID, name, s, &m, key);             \
		WANT(KEY_HANDLE_INVALID, name, s, good, NONE);               \
		WANT(KEY_HANDLE_INVALID, name, s, good, 0);                  \
		WANT(KEY_TYPE_INCONSISTENT, name, s, good, other);           \
		WANT(OK, name, s, good, key);                                \
		WANT(OPERATION_ACTIVE, name, s, good, key);                  \
		WANT(OK, name, s, NULL, 0);                                  \
	} while (0)

	WANT(OPERATION_NOT_INITIALIZED, Sign, s, in, 1, out, &n);
	WANT(OPERATION_NOT_INITIALIZED, SignUpdate, s, in, 1);
	WANT(OPERATION_NOT_INITIALIZED, SignFinal, s, out, &n);
	WANT(OPERATION_NOT_INITIALIZED, SignRecover, s, in, 1, out, &n);
	WANT(OPERATION_NOT_INITIALIZED, Verify, s, in, 1, out, SIZE);
	WANT(OPERATION_NOT_INITIALIZED, VerifyUpdate, s, in, 1);
	WANT(OPERATION_NOT_INITIALIZED, VerifyFinal, s, out, SIZE);
	WANT(OPERATION_NOT_INITIALIZED, VerifyRecover, s, in, 1, out, &n);
	WANT(OPERATION_NOT_INITIALIZED, Encrypt, s, in, 1, out, &n);
	WANT(OPERATION_NOT_INITIALIZED, EncryptUpdate, s, in, 1, out, &n);
	WANT(OPERATION_NOT_INITIALIZED, EncryptUpdate, s, in, 1, NULL, &n);
	WANT(OPERATION_NOT_INITIALIZED, EncryptFinal, s, out, &n);
	WANT(OPERATION_NOT_INITIALIZED, Decrypt, s, in, 1, out, &n);
	WANT(OPERATION_NOT_INITIALIZED, DecryptUpdate, s, in, 1, out, &n);
	WANT(OPERATION_NOT_INITIALIZED, DecryptUpdate, s, in, 1, NULL, &n);
	WANT(OPERATION_NOT_INITIALIZED, DecryptFinal, s, out, &n);

	INIT(SignInit, &sign, priv, pub);
	INIT(SignRecoverInit, &pkcs, priv, pub);
	INIT(DecryptInit, &pkcs, priv, pub);
	INIT(VerifyInit, &sign, pub, priv);
	INIT(VerifyRecoverInit, &pkcs, pub, priv);
	INIT(EncryptInit, &pkcs, pub, priv);

	WANT(OK, SignInit, s, &sign, priv);
	n = SIZE - 1;
	WANT(BUFFER_TOO_SMALL, Sign, s, in, 1, out + 1, &n);
	WANT(OK, Sign, s, in, 1, NULL, &n);
	WANT(ARGUMENTS_BAD, Sign, s, in, MANY, out, &n);
	n = MANY;
	WANT(OK, Sign, s, none, 0, out, &n);
	WANT(OK, VerifyInit, s, &sign, pub);
	WANT(OK, Verify, s, NULL, 0, out, SIZE);
	WANT(OK, VerifyInit, s, &sign, pub);
	WANT(SIGNATURE_LEN_RANGE, Verify, s, in, 1, out, SIZE - 1);
	WANT(OK, VerifyInit, s, &sign, pub);
	WANT(ARGUMENTS_BAD, Verify, s, in, 1, out, MANY);
	WANT(SIGNATURE_INVALID, Verify, s, in, SIZE, out, SIZE);
	WANT(OK, SignInit, s, &sign, priv);
	WANT(OK, SignUpdate, s, in, SIZE);
	WANT(OPERATION_ACTIVE, Sign, s, in, 1, out, &n);
	n = 0;
	WANT(BUFFER_TOO_SMALL, SignFinal, s, none, &n);
	WANT(OK, SignFinal, s, out, &n);
	WANT(OK, SignInit, s, &pkcs, priv);
	n = SIZE;
	WANT(DATA_LEN_RANGE, Sign, s, in, SIZE, out, &n);
	WANT(OK, SignInit, s, &x509, priv);
	WANT(DATA_LEN_RANGE, Sign, s, none, 0, out, &n);
	WANT(OK, SignRecoverInit, s, &pkcs, priv);
	WANT(OK, SignRecover, s, in, 8, out, &n);
	WANT(OK, VerifyRecoverInit, s, &pkcs, pub);
	n = 7;
	WANT(BUFFER_TOO_SMALL, VerifyRecover, s, out, SIZE, in + SIZE - 7, &n);
	n = 8;
	WANT(OK, VerifyRecover, s, out, SIZE, in + SIZE - 8, &n);
	WANT(OK, VerifyRecoverInit, s, &pkcs, pub);
	WANT(SIGNATURE_LEN_RANGE, VerifyRecover, s, out, 8, in, &n);

	n = SIZE;
	WANT(OK, EncryptInit, s, &pkcs, pub);
	WANT(DATA_LEN_RANGE, Encrypt, s, in, SIZE, out, &n);
	WANT(OK, EncryptInit, s, &pkcs, pub);
	WANT(OK, EncryptUpdate, s, in, 8, out, &n);
	n = 8;
	WANT(BUFFER_TOO_SMALL, EncryptFinal, s, out + SIZE - 8, &n);
	WANT(OK, EncryptFinal, s, out, &n);
	WANT(OK, DecryptInit, s, &pkcs, priv);
	n = 0;
	WANT(BUFFER_TOO_SMALL, Decrypt, s, out, SIZE, none, &n);
	n = 8;
	WANT(OK, Decrypt, s, out, SIZE, in + SIZE - 8, &n);
	n = SIZE;
	WANT(OK, DecryptInit, s, &pkcs, priv);
	WANT(ENCRYPTED_DATA_LEN_RANGE, Decrypt, s, out, SIZE - 1, in, &n);
	WANT(OK, DecryptInit, s, &pkcs, priv);
	WANT(OK, DecryptUpdate, s, out, 1, in, &n);
	n = SIZE;
	WANT(ENCRYPTED_DATA_LEN_RANGE, DecryptFinal, s, in, &n);

	/* Parameters: not aligned, of no sense, of a wrong length. */
	memcpy(odd + 1, &pss, sizeof pss);
	m = (CK_MECHANISM){0x43, odd + 1, sizeof pss};
	WANT(OK, SignInit, s, &m, priv);
	WANT(OK, Sign, s, in, 1, out, &n);
	m = (CK_MECHANISM){0x43, &huge, sizeof huge};
	WANT(MECHANISM_PARAM_INVALID, SignInit, s, &m, priv);
	m = (CK_MECHANISM){0x43, NULL, 0};
	WANT(MECHANISM_PARAM_INVALID, SignInit, s, &m, priv);
	m = (CK_MECHANISM){9, &oaep, sizeof oaep}; /* a label that is not there */
	WANT(MECHANISM_PARAM_INVALID, EncryptInit, s, &m, pub);
	oaep.sourceDataLen = 5;
	WANT(MECHANISM_PARAM_INVALID, EncryptInit, s, &m, pub);
	m.parameterLen--;
	WANT(MECHANISM_PARAM_INVALID, EncryptInit, s, &m, pub);
}

int main(int argc, char **argv)
{
	CK_VERSION v3 = {3, 0}, v9 = {9, 9};
	CK_INTERFACE *i = NULL, few[1];
	CK_C_INITIALIZE_ARGS args = {0};
	CK_SESSION_HANDLE s = 0, ro = 0;
	CK_OBJECT_HANDLE priv, pub;
	CK_BYTE *random = edge(16);
	CK_ULONG n = 1;
	CK_RV (*get)(CK_BYTE *, CK_VERSION *, CK_INTERFACE **, CK_FLAGS);
	void *library;

	alarm(300);
	if (argc != 2 || (library = dlopen(argv[1], RTLD_NOW)) == NULL) {
		fprintf(stderr, "%s\n", argc == 2 ? dlerror() : "usage: hostile LIBRARY");
		return 1;
	}
	*(void **)&get = dlsym(library, "C_GetInterface");
	if (get == NULL || get((CK_BYTE *)"PKCS 11", &v3, &i, 0) != OK)
		return 1;
	f = i->functionList;

	WANT(ARGUMENTS_BAD, GetFunctionList, NULL);
	WANT(ARGUMENTS_BAD, GetInterfaceList, NULL, NULL);
	WANT(BUFFER_TOO_SMALL, GetInterfaceList, few, &n);
	WANT(ARGUMENTS_BAD, GetInterface, NULL, NULL, NULL, 0);
	WANT(CKR_FUNCTION_FAILED, GetInterface, (CK_BYTE *)"", NULL, &i, 0);
	WANT(CKR_FUNCTION_FAILED, GetInterface, NULL, &v9, &i, 0);
	WANT(CKR_FUNCTION_FAILED, GetInterface, NULL, NULL, &i, MANY);

	nothing(0, 0, NOT_INITIALIZED, NOT_INITIALIZED);
	WANT(NOT_INITIALIZED, Finalize, NULL);
	WANT(NOT_INITIALIZED, CloseSession, 1);
	args.reserved = &args;
	WANT(ARGUMENTS_BAD, Initialize, &args);
	args = (CK_C_INITIALIZE_ARGS){.lockMutex = (CK_RV(*)(void *))main};
	WANT(ARGUMENTS_BAD, Initialize, &args);
	args = (CK_C_INITIALIZE_ARGS){.flags = MANY};
	WANT(OK, Initialize, &args);
	WANT(CRYPTOKI_ALREADY_INITIALIZED, Initialize, NULL);
	WANT(ARGUMENTS_BAD, Finalize, &args);

	slots();
	no_session(0);
	no_session(NONE);
	no_session(MANY);
	WANT(OK, OpenSession, 0, 6, NULL, NULL, &s);
	WANT(OK, OpenSession, 0, 4, NULL, NULL, &ro);
	nothing(s, 1, FUNCTION_NOT_SUPPORTED, ARGUMENTS_BAD);
	logins(s, ro);
	priv = find(s, 3);
	pub = find(s, 2);
	objects(s, ro, priv);
	digests(s, priv);
	keys(s, priv, pub);
	WANT(OK, GenerateRandom, s, random, 16);
	WANT(OK, GenerateRandom, s, random, 0);
	WANT(ARGUMENTS_BAD, GenerateRandom, s, random, MANY);
	WANT(RANDOM_SEED_NOT_SUPPORTED, SeedRandom, s, random, 16);
	WANT(ARGUMENTS_BAD, SeedRandom, s, random, MANY);
	WANT(OK, Logout, s);
	WANT(OK, CloseSession, ro);
	WANT(OK, Finalize, NULL);
	nothing(s, 0, NOT_INITIALIZED, NOT_INITIALIZED);

	for (int n = 0; n < functions; n++)
		if (called[n] == 0)
			printf("%s was not called\n", names[n]), failures++;
	return failures != 0;
}
