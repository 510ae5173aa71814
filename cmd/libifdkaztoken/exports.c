/*
 * The functions that a smart-card service calls. They check pointers, give what
 * they get to Go (ifdh.go) in types that have one size each, and put the answers
 * where the caller wants them.
 *
 * A process that is forked from one with this library in it has none of the
 * threads of Go's runtime: a call into Go would wait for ever. There every
 * function returns IFD_COMMUNICATION_ERROR.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>

#include "ifd.h"
#include "_cgo_export.h"

#define EXPORT __attribute__((visibility("default")))

static volatile sig_atomic_t forked;

static void in_child(void)
{
	forked = 1;
}

/* Runs when the library is loaded. All else waits for the first channel. */
__attribute__((constructor)) static void loaded(void)
{
	pthread_atfork(NULL, NULL, in_child);
}

EXPORT RESPONSECODE IFDHCreateChannelByName(DWORD Lun, char *DeviceName)
{
	if (forked || DeviceName == NULL)
		return IFD_COMMUNICATION_ERROR;
	return kaztokenCreateChannelByName(Lun, DeviceName);
}

EXPORT RESPONSECODE IFDHCreateChannel(DWORD Lun, DWORD Channel)
{
	if (forked)
		return IFD_COMMUNICATION_ERROR;
	return kaztokenCreateChannel(Lun, Channel);
}

EXPORT RESPONSECODE IFDHCloseChannel(DWORD Lun)
{
	if (forked)
		return IFD_COMMUNICATION_ERROR;
	return kaztokenCloseChannel(Lun);
}

EXPORT RESPONSECODE IFDHGetCapabilities(DWORD Lun, DWORD Tag, DWORD *Length, UCHAR *Value)
{
	uint64_t n;
	RESPONSECODE rv;

	if (forked || Length == NULL)
		return IFD_COMMUNICATION_ERROR;
	n = *Length;
	rv = kaztokenGetCapabilities(Lun, Tag, Value, &n);
	/* Otherwise pcscd still needs it: some attributes it answers itself. */
	if (rv == IFD_SUCCESS || rv == IFD_INSUFFICIENT_BUFFER)
		*Length = n;
	return rv;
}

EXPORT RESPONSECODE IFDHSetCapabilities(DWORD Lun, DWORD Tag, DWORD Length, UCHAR *Value)
{
	if (forked)
		return IFD_COMMUNICATION_ERROR;
	return kaztokenSetCapabilities(Lun, Tag, Value, Length);
}

EXPORT RESPONSECODE IFDHSetProtocolParameters(DWORD Lun, DWORD Protocol, UCHAR Flags, UCHAR PTS1, UCHAR PTS2, UCHAR PTS3)
{
	(void)PTS1, (void)PTS2, (void)PTS3; /* of use only with flags, which are refused */
	if (forked)
		return IFD_COMMUNICATION_ERROR;
	return kaztokenSetProtocolParameters(Lun, Protocol, Flags);
}

/*
 * AtrLength is only written: hosts have the length of the last answer in it, or
 * none, and room for MAX_ATR_SIZE in any case.
 */
EXPORT RESPONSECODE IFDHPowerICC(DWORD Lun, DWORD Action, UCHAR *Atr, DWORD *AtrLength)
{
	uint64_t n = MAX_ATR_SIZE;
	DWORD unused;
	RESPONSECODE rv;

	if (AtrLength == NULL && Action == IFD_POWER_DOWN)
		AtrLength = &unused;
	if (AtrLength == NULL)
		return IFD_COMMUNICATION_ERROR;
	*AtrLength = 0;
	if (forked)
		return IFD_COMMUNICATION_ERROR;
	rv = kaztokenPowerICC(Lun, Action, Atr, &n);
	*AtrLength = n;
	return rv;
}

EXPORT RESPONSECODE IFDHTransmitToICC(DWORD Lun, SCARD_IO_HEADER SendPci, UCHAR *TxBuffer, DWORD TxLength, UCHAR *RxBuffer,
                                      DWORD *RxLength, SCARD_IO_HEADER *RecvPci)
{
	uint64_t n;
	RESPONSECODE rv;

	if (RxLength == NULL)
		return IFD_COMMUNICATION_ERROR;
	n = *RxLength;
	*RxLength = 0;
	if (forked)
		return IFD_COMMUNICATION_ERROR;
	rv = kaztokenTransmitToICC(Lun, SendPci.Protocol, TxBuffer, TxLength, RxBuffer, &n);
	if (rv != IFD_SUCCESS)
		return rv;
	*RxLength = n;
	if (RecvPci != NULL) {
		RecvPci->Protocol = SendPci.Protocol;
		RecvPci->Length = sizeof *RecvPci;
	}
	return rv;
}

EXPORT RESPONSECODE IFDHControl(DWORD Lun, DWORD ControlCode, UCHAR *TxBuffer, DWORD TxLength, UCHAR *RxBuffer,
                                DWORD RxLength, DWORD *BytesReturned)
{
	uint64_t n = RxLength;
	RESPONSECODE rv;

	if (BytesReturned == NULL)
		return IFD_COMMUNICATION_ERROR;
	*BytesReturned = 0;
	if (forked)
		return IFD_COMMUNICATION_ERROR;
	rv = kaztokenControl(Lun, ControlCode, TxBuffer, TxLength, RxBuffer, &n);
	*BytesReturned = n;
	return rv;
}

EXPORT RESPONSECODE IFDHICCPresence(DWORD Lun)
{
	if (forked)
		return IFD_COMMUNICATION_ERROR;
	return kaztokenICCPresence(Lun);
}

RESPONSECODE kaztoken_poll(DWORD Lun, int timeout)
{
	if (forked)
		return IFD_COMMUNICATION_ERROR;
	return kaztokenPoll(Lun, timeout);
}

RESPONSECODE kaztoken_stop_polling(DWORD Lun)
{
	if (forked)
		return IFD_COMMUNICATION_ERROR;
	return kaztokenStopPolling(Lun);
}

/*
 * pcscd has log functions for its drivers, which are found by name like the
 * functions here. Another host has none, and the handler is silent.
 */
static void (*log_line)(int priority, const char *format, ...);
static void (*log_dump)(int priority, const char *line, const unsigned char *data, int size);

static void find_log(void)
{
	log_line = (void (*)(int, const char *, ...))dlsym(RTLD_DEFAULT, "log_msg");
	log_dump = (void (*)(int, const char *, const unsigned char *, int))dlsym(RTLD_DEFAULT, "log_xxd");
}

static pthread_once_t log_once = PTHREAD_ONCE_INIT;

void kaztoken_log(int priority, const char *line)
{
	pthread_once(&log_once, find_log);
	if (log_line != NULL)
		log_line(priority, "%s", line);
}

void kaztoken_log_dump(int priority, const char *line, const unsigned char *data, int size)
{
	pthread_once(&log_once, find_log);
	if (log_dump != NULL)
		log_dump(priority, line, data, size);
}
