/* A chip's registers and a debugger's console, as far as the programs of the tests need them. */
#pragma once
#include <stdint.h>

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define SYST_CSR REGISTER(0xE000E010)
#define SYST_RVR REGISTER(0xE000E014)
#define SYST_CVR REGISTER(0xE000E018)
#define NVIC_ISER REGISTER(0xE000E100)
#define NVIC_ISPR REGISTER(0xE000E200)
#define CPUID REGISTER(0xE000ED00)
#define ICSR REGISTER(0xE000ED04)
#define VTOR REGISTER(0xE000ED08)
#define AIRCR REGISTER(0xE000ED0C)
#define SHPR3 REGISTER(0xE000ED20)
#define DEMCR REGISTER(0xE000EDFC)
#define DWT_CTRL REGISTER(0xE0001000)
#define DWT_CYCCNT REGISTER(0xE0001004)
#define ITM_PORT0 (*(volatile uint8_t *)0xE0000000)

enum { WRITE_CHARACTER = 3, WRITE_TEXT = 4, WRITE = 5, EXIT = 0x18, EXIT_EXTENDED = 0x20, ELAPSED = 0x30 };

extern volatile uint32_t ticks, calls, switches, interrupts;

static inline uint32_t debugger(uint32_t operation, const void *argument) {
    register uint32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

static inline void print(const char *text) { debugger(WRITE_TEXT, text); }

static inline void show(const char *name, uint32_t value) {
    char text[12];
    int n = sizeof text;
    text[--n] = 0;
    text[--n] = '\n';
    do {
        text[--n] = "0123456789abcdef"[value & 15];
        value >>= 4;
    } while (value);
    print(name);
    print("=");
    print(text + n);
}

static inline void count_cycles(void) {
    DEMCR = 1u << 24;
    DWT_CYCCNT = 0;
    DWT_CTRL |= 1;
}

static inline void tick_every(uint32_t cycles) {
    SYST_RVR = cycles - 1;
    SYST_CVR = 0;
    SYST_CSR = 7;
}

int program(void);
