/* One program for each behaviour; PROGRAM in chosen.h says which is main. */
#include "board.h"
#include "chosen.h"

/* not for the linker to leave out */
#define KEPT __attribute__((used, section(".text.kept")))
#define POINTER(address) ((volatile uint32_t *)(uintptr_t)(address))

int hello(void) {
    const char *line = "written";
    uint32_t block[3] = {1, (uint32_t)(uintptr_t)line, 7};
    print("semihosting\n");
    debugger(WRITE_CHARACTER, "c");
    debugger(WRITE, block);
#ifdef BASELINE
    print(" itm");
#else
    for (const char *c = " itm"; *c; c++) {
        while (!ITM_PORT0) {
        }
        ITM_PORT0 = *c;
    }
#endif
    for (const char *c = " uart\x1b\r\n"; *c; c++) {
        while (!(REGISTER(UART + UART_STATUS) & 0x80)) {
        }
        REGISTER(UART + UART_DATA) = *c;
    }
    return 0;
}

int fails(void) { return 3; }

int delay(void) { /* as HAL_Delay does */
    tick_every(10000);
    uint32_t start = ticks;
    while (ticks - start < 5) {
    }
    show("ticks", ticks);
    return 0;
}

static uint32_t __attribute__((noinline)) spin(uint32_t n) {
    __asm__ volatile("1: subs %0, #1\n bne 1b" : "+l"(n) : : "cc");
    return n;
}

int timing(void) { /* the counter reads 0 while it stands, and keeps its value */
    uint32_t standing = DWT_CYCCNT;
    count_cycles();
    uint32_t start = DWT_CYCCNT;
    spin(1000);
    uint32_t middle = DWT_CYCCNT;
    spin(2000);
    uint32_t end = DWT_CYCCNT;
    DWT_CTRL &= ~1u;
    uint32_t stopped = DWT_CYCCNT;
    spin(1000);
    show("standing", standing);
    show("first", middle - start);
    show("second", end - middle);
    show("still", DWT_CYCCNT - stopped);
    DWT_CYCCNT = 0xfffffff0;
    show("written", DWT_CYCCNT);
    return 0;
}

int systick_counts(void) {
    SYST_RVR = 0xffffff;
    SYST_CVR = 1;
    SYST_CSR = 5;
    uint32_t start = SYST_CVR;
    spin(1000);
    show("down", (start - SYST_CVR) & 0xffffff);
    SYST_RVR = 999;
    SYST_CVR = 0;
    uint32_t zeros = 0;
    while (zeros < 3) {

        if (SYST_CSR & 0x10000) zeros++;
    }
    show("zeros", zeros);
    return 0;
}

int polls(void) {
    while (!(*POINTER(0x40012340) & 8)) { /* set by hardware, some day */
    }
    *POINTER(0x40012344) = 0x10;
    while (*POINTER(0x40012344) & 0x10) { /* cleared by hardware */
    }
    *POINTER(0x40012348) = 0x1234;
    *(volatile uint8_t *)0x40012349 = 0x56;
    show("kept", *POINTER(0x40012348));
    return 0;
}

int sleeps(void) {
#ifndef BASELINE
    count_cycles();
#endif
    tick_every(100000);
    while (ticks < 50) __asm__ volatile("wfi");
    show("ticks", ticks);
#ifndef BASELINE
    show("awake", DWT_CYCCNT);
#endif
    return 0;
}

int exceptions(void) {
    SHPR3 = 0x00ff0000;
    __asm__ volatile("svc 3\n svc 4" ::: "memory");
    ICSR = 1u << 28;
    __asm__ volatile("dsb\n isb");
    show("calls", calls);
    show("switches", switches);
    __asm__ volatile("cpsid i");
    ICSR = 1u << 28;
    __asm__ volatile("dsb\n isb");
    spin(100);
    show("masked", switches);
    __asm__ volatile("cpsie i\n isb");
    spin(1000);
    show("unmasked", switches);
    NVIC_ISPR = 1;
    spin(100);
    show("disabled", interrupts);
    NVIC_ISER = 1;
    spin(1000);
    show("enabled", interrupts);
    return 0;
}

#ifdef FLOATS
volatile float handled = 1.0f;
void on_pendsv(void) {
    handled = handled * 1.5f + 0.25f;
    switches++;
}
int floats(void) { /* a handler that uses the FPU must not disturb a sum */
    SHPR3 = 0x00ff0000;
    float sum = 0.0f;
    for (int i = 0; i < 100; i++) {
        sum += (float)i * 0.5f;
        if (i % 10 == 0) ICSR = 1u << 28;
    }
    show("sum", (uint32_t)(sum * 4.0f));
    show("switches", switches);
    return 0;
}
#endif

#ifndef BASELINE
int process_stack(void) { /* thread mode on PSP, as under an RTOS */
    static uint64_t stack[64];
    uint32_t before, after;
    __asm__ volatile("msr psp, %0\n movs r0, #2\n msr control, r0\n isb" : : "r"(stack + 64) : "r0", "memory");
    __asm__ volatile("mov %0, sp" : "=r"(before));
    __asm__ volatile("svc 1" ::: "memory");
    __asm__ volatile("mov %0, sp" : "=r"(after));
    __asm__ volatile("movs r0, #0\n msr control, r0\n isb" : : : "r0", "memory");
    show("moved", before - after);
    show("inside", before - (uint32_t)(uintptr_t)stack <= sizeof stack);
    show("calls", calls);
    return 0;
}
#endif

int identifies(void) {
    show("cpuid", CPUID);
    VTOR = 0x08000000;
    show("vtor", VTOR);
    return 0;
}

int resets(void) {
    print("once");
    AIRCR = 0x05fa0004;
    for (;;) {
    }
}

int KEPT bad_address(void) { return (int)*POINTER(0x00f00000); }
int writes_flash(void) {
    *POINTER(0x08000000) = 1;
    return 0;
}
int undefined(void) {
    __asm__ volatile("udf #0");
    return 0;
}
int __attribute__((noinline)) recurses(int n) {
    volatile int here[16];
    here[n & 15] = n;
    if (n < 0) return n;
    return recurses(n + 1) + here[(n + 1) & 15];
}
int overflow(void) { return recurses(0); }
int loops(void) {
    print("working");
    for (;;) {
    }
}
int loops_with_ticks(void) {
    tick_every(10000);
    for (;;) {
    }
}
int masks_and_loops(void) {
    tick_every(10000);
    __asm__ volatile("cpsid i");
    for (;;) {
    }
}
int sleeps_for_ever(void) {
    for (;;) __asm__ volatile("wfi");
}
int works_for_ever(void) {
    for (volatile uint32_t n = 0;; n++) {
    }
}
int KEPT measured(int n) { return (int)spin((uint32_t)n + 100) + (int)ticks; }
void KEPT prepares(void) { ticks = 7; }

int program(void) { return PROGRAM(); }
