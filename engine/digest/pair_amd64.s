#include "textflag.h"

// The sum of four round constants and four words of the schedule, then four
// rounds. a and c are the halves of the state.
#define ROUNDS(i, w, a, c) \
	MOVO w, X0                     \
	PADDD rounds<>+(16*i)(SB), X0  \
	SHA256RNDS2 X0, a, c           \
	PSHUFD $0x0e, X0, X0           \
	SHA256RNDS2 X0, c, a

// The words that come after w: p are the four before it, n the four after it.
#define NEXT(w, p, n, t) \
	MOVO w, t          \
	PALIGNR $4, p, t   \
	PADDD t, n         \
	SHA256MSG2 w, n

#define FIRST(i, w, from, a, c) \
	MOVOU (16*i)(from), w  \
	PSHUFB X15, w          \
	ROUNDS(i, w, a, c)

#define BOTH_FIRST(i, w, v) \
	FIRST(i, w, SI, X1, X2)  \
	FIRST(i, v, DI, X7, X8)

#define BOTH_MIX(w, p, v, q) \
	SHA256MSG1 w, p  \
	SHA256MSG1 v, q

#define BOTH_NEXT(w, p, n, v, q, m) \
	NEXT(w, p, n, X13)  \
	NEXT(v, q, m, X14)

#define BOTH_ROUNDS(i, w, v) \
	ROUNDS(i, w, X1, X2)  \
	ROUNDS(i, v, X7, X8)

// func blocks(state *[2][8]uint32, a, b *byte, n int)
//
// The rounds of two messages wait for nothing of each other, so that the processor
// works on one while the other waits for its own last result.
TEXT ·blocks(SB), NOSPLIT, $64-32
	MOVQ  state+0(FP), DX
	MOVQ  a+8(FP), SI
	MOVQ  b+16(FP), DI
	MOVQ  n+24(FP), CX
	MOVOU turn<>(SB), X15
	MOVOU (DX), X1
	MOVOU 16(DX), X2
	MOVOU 32(DX), X7
	MOVOU 48(DX), X8

next:
	MOVOU X1, 0(SP)
	MOVOU X2, 16(SP)
	MOVOU X7, 32(SP)
	MOVOU X8, 48(SP)

	BOTH_FIRST(0, X3, X9)
	BOTH_FIRST(1, X4, X10)
	BOTH_MIX(X4, X3, X10, X9)
	BOTH_FIRST(2, X5, X11)
	BOTH_MIX(X5, X4, X11, X10)
	BOTH_FIRST(3, X6, X12)
	BOTH_NEXT(X6, X5, X3, X12, X11, X9)
	BOTH_MIX(X6, X5, X12, X11)
	BOTH_ROUNDS(4, X3, X9)
	BOTH_NEXT(X3, X6, X4, X9, X12, X10)
	BOTH_MIX(X3, X6, X9, X12)
	BOTH_ROUNDS(5, X4, X10)
	BOTH_NEXT(X4, X3, X5, X10, X9, X11)
	BOTH_MIX(X4, X3, X10, X9)
	BOTH_ROUNDS(6, X5, X11)
	BOTH_NEXT(X5, X4, X6, X11, X10, X12)
	BOTH_MIX(X5, X4, X11, X10)
	BOTH_ROUNDS(7, X6, X12)
	BOTH_NEXT(X6, X5, X3, X12, X11, X9)
	BOTH_MIX(X6, X5, X12, X11)
	BOTH_ROUNDS(8, X3, X9)
	BOTH_NEXT(X3, X6, X4, X9, X12, X10)
	BOTH_MIX(X3, X6, X9, X12)
	BOTH_ROUNDS(9, X4, X10)
	BOTH_NEXT(X4, X3, X5, X10, X9, X11)
	BOTH_MIX(X4, X3, X10, X9)
	BOTH_ROUNDS(10, X5, X11)
	BOTH_NEXT(X5, X4, X6, X11, X10, X12)
	BOTH_MIX(X5, X4, X11, X10)
	BOTH_ROUNDS(11, X6, X12)
	BOTH_NEXT(X6, X5, X3, X12, X11, X9)
	BOTH_MIX(X6, X5, X12, X11)
	BOTH_ROUNDS(12, X3, X9)
	BOTH_NEXT(X3, X6, X4, X9, X12, X10)
	BOTH_MIX(X3, X6, X9, X12)
	BOTH_ROUNDS(13, X4, X10)
	BOTH_NEXT(X4, X3, X5, X10, X9, X11)
	BOTH_ROUNDS(14, X5, X11)
	BOTH_NEXT(X5, X4, X6, X11, X10, X12)
	BOTH_ROUNDS(15, X6, X12)

	MOVOU 0(SP), X0
	PADDD X0, X1
	MOVOU 16(SP), X0
	PADDD X0, X2
	MOVOU 32(SP), X0
	PADDD X0, X7
	MOVOU 48(SP), X0
	PADDD X0, X8

	ADDQ $64, SI
	ADDQ $64, DI
	DECQ CX
	JNZ  next

	MOVOU X1, (DX)
	MOVOU X2, 16(DX)
	MOVOU X7, 32(DX)
	MOVOU X8, 48(DX)
	RET

// func cpuid(leaf uint32) (b, c uint32)
TEXT ·cpuid(SB), NOSPLIT, $0-16
	MOVL leaf+0(FP), AX
	XORL CX, CX
	CPUID
	MOVL BX, b+8(FP)
	MOVL CX, c+12(FP)
	RET

// The bytes of each word in the other order.
DATA turn<>+0(SB)/8, $0x0405060700010203
DATA turn<>+8(SB)/8, $0x0c0d0e0f08090a0b
GLOBL turn<>(SB), RODATA|NOPTR, $16

// The first 32 bits of the fractional parts of the cube roots of the first 64 primes (FIPS 180-4, 4.2.2).
DATA rounds<>+0(SB)/8, $0x71374491428a2f98
DATA rounds<>+8(SB)/8, $0xe9b5dba5b5c0fbcf
DATA rounds<>+16(SB)/8, $0x59f111f13956c25b
DATA rounds<>+24(SB)/8, $0xab1c5ed5923f82a4
DATA rounds<>+32(SB)/8, $0x12835b01d807aa98
DATA rounds<>+40(SB)/8, $0x550c7dc3243185be
DATA rounds<>+48(SB)/8, $0x80deb1fe72be5d74
DATA rounds<>+56(SB)/8, $0xc19bf1749bdc06a7
DATA rounds<>+64(SB)/8, $0xefbe4786e49b69c1
DATA rounds<>+72(SB)/8, $0x240ca1cc0fc19dc6
DATA rounds<>+80(SB)/8, $0x4a7484aa2de92c6f
DATA rounds<>+88(SB)/8, $0x76f988da5cb0a9dc
DATA rounds<>+96(SB)/8, $0xa831c66d983e5152
DATA rounds<>+104(SB)/8, $0xbf597fc7b00327c8
DATA rounds<>+112(SB)/8, $0xd5a79147c6e00bf3
DATA rounds<>+120(SB)/8, $0x1429296706ca6351
DATA rounds<>+128(SB)/8, $0x2e1b213827b70a85
DATA rounds<>+136(SB)/8, $0x53380d134d2c6dfc
DATA rounds<>+144(SB)/8, $0x766a0abb650a7354
DATA rounds<>+152(SB)/8, $0x92722c8581c2c92e
DATA rounds<>+160(SB)/8, $0xa81a664ba2bfe8a1
DATA rounds<>+168(SB)/8, $0xc76c51a3c24b8b70
DATA rounds<>+176(SB)/8, $0xd6990624d192e819
DATA rounds<>+184(SB)/8, $0x106aa070f40e3585
DATA rounds<>+192(SB)/8, $0x1e376c0819a4c116
DATA rounds<>+200(SB)/8, $0x34b0bcb52748774c
DATA rounds<>+208(SB)/8, $0x4ed8aa4a391c0cb3
DATA rounds<>+216(SB)/8, $0x682e6ff35b9cca4f
DATA rounds<>+224(SB)/8, $0x78a5636f748f82ee
DATA rounds<>+232(SB)/8, $0x8cc7020884c87814
DATA rounds<>+240(SB)/8, $0xa4506ceb90befffa
DATA rounds<>+248(SB)/8, $0xc67178f2bef9a3f7
GLOBL rounds<>(SB), RODATA|NOPTR, $256
