/*
 * The exported functions. Each looks whether this process may use the module, and
 * calls its half in Go. A process that was forked from one with the module loaded
 * must not: of the Go runtime's threads it has none, and the first call would
 * never return.
 */
#include <pthread.h>
#include <string.h>

#include "cryptoki.h"
#include "_cgo_export.h"

#define EXPORT __attribute__((visibility("default")))

/* The function lists. */
struct function_list {
	CK_VERSION version;
#define F(name, params, args) CK_RV(*C_##name) params;
#define T(name, params) CK_RV(*C_##name) params;
#define M(name, params) CK_RV(*C_##name) params;
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
#undef F
#undef T
#undef M
};

static int forked; /* this process has the module from a parent */

static void child(void)
{
	forked = 1;
}

__attribute__((constructor)) static void watch_forks(void)
{
	pthread_atfork(NULL, NULL, child);
}

/* The functions with a half in Go. */
#define F(name, params, args)             \
	EXPORT CK_RV C_##name params      \
	{                                 \
		if (forked)               \
			return CKR_GENERAL_ERROR; \
		return kaz##name args;    \
	}
#define T(name, params) EXPORT CK_RV C_##name params;
#define M(name, params)                                 \
	EXPORT CK_RV C_##name params                    \
	{                                               \
		if (forked)                             \
			return CKR_GENERAL_ERROR;       \
		return kazUnsupported(session);         \
	}
#define FUNCTIONS_2_40
#define FUNCTIONS_3_0
#include "functions.h"
#undef FUNCTIONS_2_40
#undef FUNCTIONS_3_0
#undef F
#undef T
#undef M

#define F(name, params, args) C_##name,
#define T(name, params) C_##name,
#define M(name, params) C_##name,
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
#undef T
#undef M

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
