/*
 * The interface of an IFD handler, version 3.0: what a smart-card service finds in
 * the library by name, and calls. Sizes follow the system, not this library.
 */
#ifndef KAZTOKEN_IFD_H
#define KAZTOKEN_IFD_H

#include <stdint.h>

#ifdef __APPLE__
typedef uint32_t DWORD;
typedef long RESPONSECODE;
#else
typedef unsigned long DWORD;
typedef long RESPONSECODE;
#endif
typedef unsigned char UCHAR;

/* SCARD_IO_HEADER; it is passed by value. */
typedef struct {
	DWORD Protocol;
	DWORD Length;
} SCARD_IO_HEADER;

enum {
	IFD_SUCCESS = 0,
	IFD_COMMUNICATION_ERROR = 612,
	IFD_INSUFFICIENT_BUFFER = 618,
	IFD_POWER_DOWN = 501,
	MAX_ATR_SIZE = 33
};

RESPONSECODE IFDHCreateChannelByName(DWORD Lun, char *DeviceName);
RESPONSECODE IFDHCreateChannel(DWORD Lun, DWORD Channel);
RESPONSECODE IFDHCloseChannel(DWORD Lun);
RESPONSECODE IFDHGetCapabilities(DWORD Lun, DWORD Tag, DWORD *Length, UCHAR *Value);
RESPONSECODE IFDHSetCapabilities(DWORD Lun, DWORD Tag, DWORD Length, UCHAR *Value);
RESPONSECODE IFDHSetProtocolParameters(DWORD Lun, DWORD Protocol, UCHAR Flags, UCHAR PTS1, UCHAR PTS2, UCHAR PTS3);
RESPONSECODE IFDHPowerICC(DWORD Lun, DWORD Action, UCHAR *Atr, DWORD *AtrLength);
RESPONSECODE IFDHTransmitToICC(DWORD Lun, SCARD_IO_HEADER SendPci, UCHAR *TxBuffer, DWORD TxLength, UCHAR *RxBuffer,
                               DWORD *RxLength, SCARD_IO_HEADER *RecvPci);
RESPONSECODE IFDHControl(DWORD Lun, DWORD ControlCode, UCHAR *TxBuffer, DWORD TxLength, UCHAR *RxBuffer, DWORD RxLength,
                         DWORD *BytesReturned);
RESPONSECODE IFDHICCPresence(DWORD Lun);

/* What GetCapabilities gives the addresses of. */
RESPONSECODE kaztoken_poll(DWORD Lun, int timeout);
RESPONSECODE kaztoken_stop_polling(DWORD Lun);

/* Write to the log of the host, if it has one. */
void kaztoken_log(int priority, const char *line);
void kaztoken_log_dump(int priority, const char *line, const unsigned char *data, int size);

#endif
