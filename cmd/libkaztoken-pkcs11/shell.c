/*
 * The exported functions. Each calls its half in Go, unless this process was
 * forked from the one that loaded the library: of the Go runtime's threads it has
 * none, and a call would never return. There, C_Initialize loads the library a
 * second time, with a runtime of its own, and from then on all calls go to that.
 */
#ifdef __linux__
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#endif
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "cryptoki.h"
#include "_cgo_export.h"

#define EXPORT __attribute__((visibility("default")))

/* The function lists. */
struct function_list {
	CK_VERSION version;
#define T(name, params) CK_RV(*C_##name) params;
#define F(name, params, args) T(name, params)
#define I F
#define M F
#define FUNCTIONS_2_40
#include "functions.h"
#undef FUNCTIONS_2_40
};

struct function_list_3_0 {
	CK_VERSION version;
#define FUNCTIONS_2_40
#define FUNCTIONS_3_0
#include "functions.h"
#undef FUNCTIONS_2_40
#undef FUNCTIONS_3_0
};
#undef F
#undef I
#undef M
#undef T

/*
 * The process that loaded the library, and what another one has loaded instead.
 * Only one thread is left after a fork, and the standard has one thread call
 * C_Initialize: none of this needs a lock.
 */
static pid_t home;
static struct function_list_3_0 *again;
static pid_t again_in;

#ifdef __linux__
/* The library's file: a program may leave the directory that it named it from. */
static char file[PATH_MAX];

static void remember_file(void)
{
	Dl_info info;

	if (dladdr(&file, &info) == 0 || realpath(info.dli_fname, file) == NULL)
		file[0] = 0;
}
#else
static void remember_file(void)
{
}
#endif

static void child(void)
{
	home = 0;
	again = NULL;
}

__attribute__((constructor)) static void begin(void)
{
	home = getpid();
	remember_file();
	pthread_atfork(NULL, NULL, child);
}

/* Not every fork is told of: the number of the process is looked at, too. */
static int elsewhere(void)
{
	return getpid() != home;
}

static struct function_list_3_0 *loaded_again(void)
{
	return again_in == getpid() ? again : NULL;
}

#ifdef __linux__
/* copy_of_library gives the library's file as one that the loader does not know. */
static int copy_of_library(void)
{
	struct stat st;
	off_t at = 0;
	int from = open(file, O_RDONLY | O_CLOEXEC);
	int to;

	if (from < 0)
		return -1;
	to = memfd_create("libkaztoken-pkcs11", MFD_CLOEXEC);
	if (to >= 0 && fstat(from, &st) == 0)
		while (at < st.st_size && sendfile(to, from, &at, st.st_size - at) > 0)
			;
	else
		st.st_size = 1;
	close(from);
	if (at == st.st_size)
		return to;
	if (to >= 0)
		close(to);
	return -1;
}

/*
 * How often the library was loaded again, by this process and those that it comes
 * from. The loader knows their copies, too, and takes a name that it has seen for
 * the same library: so each one gets a name of its own.
 */
static unsigned generation;

enum { GENERATIONS = 100 };

static CK_RV load_again(void)
{
	CK_RV (*get)(CK_BYTE *, CK_VERSION *, CK_INTERFACE **, CK_FLAGS) = NULL;
	CK_VERSION version = {3, 0};
	CK_INTERFACE *interface;
	char path[32 + 2 * GENERATIONS] = "/proc/self/fd/";
	void *library;
	int fd = generation < GENERATIONS ? copy_of_library() : -1;

	if (fd < 0)
		return CKR_GENERAL_ERROR;
	generation++;
	for (unsigned i = 0; i < generation; i++)
		strcat(path, "./");
	sprintf(path + strlen(path), "%d", fd);
	library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	close(fd);
	if (library != NULL)
		*(void **)&get = dlsym(library, "C_GetInterface");
	if (get == NULL || get((CK_BYTE *)"PKCS 11", &version, &interface, 0) != CKR_OK)
		return CKR_GENERAL_ERROR;
	again = interface->functionList;
	again_in = getpid();
	return CKR_OK;
}
#else
static CK_RV load_again(void)
{
	return CKR_GENERAL_ERROR;
}
#endif

static CK_RV initialize(void *args)
{
	if (!elsewhere())
		return kazInitialize(args);
	if (loaded_again() == NULL && load_again() != CKR_OK)
		return CKR_GENERAL_ERROR;
	return loaded_again()->C_Initialize(args);
}

/* The functions. */
#define CALL(name, params, args, half)                      \
	EXPORT CK_RV C_##name params                        \
	{                                                   \
		if (!elsewhere())                           \
			return half;                        \
		if (loaded_again() == NULL)                 \
			return CKR_CRYPTOKI_NOT_INITIALIZED; \
		return loaded_again()->C_##name args;       \
	}
#define F(name, params, args) CALL(name, params, args, kaz##name args)
#define M(name, params, args) CALL(name, params, args, kazUnsupported(session))
#define I(name, params, args) EXPORT CK_RV C_##name params { return initialize args; }
#define T(name, params) EXPORT CK_RV C_##name params;
#define FUNCTIONS_2_40
#define FUNCTIONS_3_0
#include "functions.h"
#undef FUNCTIONS_2_40
#undef FUNCTIONS_3_0
#undef F
#undef I
#undef M
#undef T

#define T(name, params) C_##name,
#define F(name, params, args) C_##name,
#define I F
#define M F
static struct function_list list_2_40 = {
	{2, 40},
#define FUNCTIONS_2_40
#include "functions.h"
#undef FUNCTIONS_2_40
};

static struct function_list_3_0 list_3_0 = {
	{3, 0},
#define FUNCTIONS_2_40
#define FUNCTIONS_3_0
#include "functions.h"
#undef FUNCTIONS_2_40
#undef FUNCTIONS_3_0
};
#undef F
#undef I
#undef M
#undef T

/* The first one is the default (PKCS #11 v3.0 §5.4.5). */
static CK_INTERFACE interfaces[] = {
	{(CK_BYTE *)"PKCS 11", &list_3_0, 0},
	{(CK_BYTE *)"PKCS 11", &list_2_40, 0},
};
enum { INTERFACES = sizeof interfaces / sizeof interfaces[0] };

CK_RV C_GetFunctionList(struct function_list **list)
{
	if (list == NULL)
		return CKR_ARGUMENTS_BAD;
	*list = &list_2_40;
	return CKR_OK;
}

CK_RV C_GetInterfaceList(CK_INTERFACE *list, CK_ULONG *count)
{
	CK_ULONG room;

	if (count == NULL)
		return CKR_ARGUMENTS_BAD;
	room = *count;
	*count = INTERFACES;
	if (list == NULL)
		return CKR_OK;
	if (room < INTERFACES)
		return CKR_BUFFER_TOO_SMALL;
	memcpy(list, interfaces, sizeof interfaces);
	return CKR_OK;
}

CK_RV C_GetInterface(CK_BYTE *name, CK_VERSION *version, CK_INTERFACE **interface, CK_FLAGS flags)
{
	if (interface == NULL)
		return CKR_ARGUMENTS_BAD;
	for (size_t i = 0; i < INTERFACES; i++) {
		CK_VERSION *has = interfaces[i].functionList;

		if (name != NULL && strcmp((char *)name, (char *)interfaces[i].name) != 0)
			continue;
		if (version != NULL && (version->major != has->major || version->minor != has->minor))
			continue;
		if ((flags & interfaces[i].flags) != flags)
			continue;
		*interface = &interfaces[i];
		return CKR_OK;
	}
	return CKR_FUNCTION_FAILED;
}
