/*
 * The types of PKCS #11 v2.40 and v3.0 as far as the functions of this module
 * need them, written from the OASIS specifications ("PKCS #11 Cryptographic Token
 * Interface Base Specification", §3 and §4). Structures have the natural alignment,
 * as everywhere but on Windows.
 */
#ifndef KAZTOKEN_CRYPTOKI_H
#define KAZTOKEN_CRYPTOKI_H

typedef unsigned char CK_BYTE;
typedef unsigned long CK_ULONG;

typedef CK_ULONG CK_RV;
typedef CK_ULONG CK_FLAGS;
typedef CK_ULONG CK_SLOT_ID;
typedef CK_ULONG CK_SESSION_HANDLE;
typedef CK_ULONG CK_OBJECT_HANDLE;

typedef struct {
	CK_BYTE major, minor;
} CK_VERSION;

typedef struct {
	CK_VERSION cryptokiVersion;
	CK_BYTE manufacturerID[32];
	CK_FLAGS flags;
	CK_BYTE libraryDescription[32];
	CK_VERSION libraryVersion;
} CK_INFO;

typedef struct {
	CK_BYTE slotDescription[64];
	CK_BYTE manufacturerID[32];
	CK_FLAGS flags;
	CK_VERSION hardwareVersion, firmwareVersion;
} CK_SLOT_INFO;

typedef struct {
	CK_BYTE label[32];
	CK_BYTE manufacturerID[32];
	CK_BYTE model[16];
	CK_BYTE serialNumber[16];
	CK_FLAGS flags;
	CK_ULONG maxSessionCount, sessionCount;
	CK_ULONG maxRwSessionCount, rwSessionCount;
	CK_ULONG maxPinLen, minPinLen;
	CK_ULONG totalPublicMemory, freePublicMemory;
	CK_ULONG totalPrivateMemory, freePrivateMemory;
	CK_VERSION hardwareVersion, firmwareVersion;
	CK_BYTE utcTime[16];
} CK_TOKEN_INFO;

typedef struct {
	CK_SLOT_ID slotID;
	CK_ULONG state;
	CK_FLAGS flags;
	CK_ULONG deviceError;
} CK_SESSION_INFO;

typedef struct {
	CK_ULONG minKeySize, maxKeySize;
	CK_FLAGS flags;
} CK_MECHANISM_INFO;

typedef struct {
	CK_ULONG type;
	void *value;
	CK_ULONG valueLen;
} CK_ATTRIBUTE;

typedef struct {
	CK_ULONG mechanism;
	void *parameter;
	CK_ULONG parameterLen;
} CK_MECHANISM;

typedef struct {
	CK_ULONG hashAlg, mgf, saltLen;
} CK_RSA_PKCS_PSS_PARAMS;

typedef struct {
	CK_ULONG hashAlg, mgf, source;
	void *sourceData;
	CK_ULONG sourceDataLen;
} CK_RSA_PKCS_OAEP_PARAMS;

typedef CK_RV (*CK_NOTIFY)(CK_SESSION_HANDLE session, CK_ULONG event, void *application);

typedef struct {
	CK_RV (*createMutex)(void **mutex);
	CK_RV (*destroyMutex)(void *mutex);
	CK_RV (*lockMutex)(void *mutex);
	CK_RV (*unlockMutex)(void *mutex);
	CK_FLAGS flags;
	void *reserved;
} CK_C_INITIALIZE_ARGS;

typedef struct {
	CK_BYTE *name;
	void *functionList; /* begins with a CK_VERSION */
	CK_FLAGS flags;
} CK_INTERFACE;

struct function_list;
struct function_list_3_0;

#define CKR_OK                       0x000UL
#define CKR_GENERAL_ERROR            0x005UL
#define CKR_FUNCTION_FAILED          0x006UL
#define CKR_ARGUMENTS_BAD            0x007UL
#define CKR_FUNCTION_NOT_SUPPORTED   0x054UL
#define CKR_BUFFER_TOO_SMALL         0x150UL
#define CKR_CRYPTOKI_NOT_INITIALIZED 0x190UL

#define CKF_LIBRARY_CANT_CREATE_OS_THREADS 1UL
#define CKF_DONT_BLOCK                     1UL

#endif
