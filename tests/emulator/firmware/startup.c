/* Vectors, memory, handlers; main ends by asking the debugger to. */
#include "board.h"

extern uint32_t stack_top[], data_load[], data_start[], data_end[], bss_start[], bss_end[];
volatile uint32_t ticks, calls, switches, interrupts;

void halt(void) {
    for (;;) {
    }
}
void on_systick(void) { ticks++; }
void on_svc(void) { calls++; }
void on_interrupt(void) { interrupts++; }
void __attribute__((weak)) on_pendsv(void) { switches++; }

void reset(void) {
    volatile uint32_t *from = data_load, *to = data_start;
    while (to < data_end) *to++ = *from++;
    for (to = bss_start; to < bss_end;) *to++ = 0;
    uint32_t end[2] = {0x20026, (uint32_t)program()};
    debugger(EXIT_EXTENDED, end);
    halt();
}

typedef void (*Vector)(void);
__attribute__((section(".vectors"), used)) const Vector vector_table[] = {
    (Vector)(uintptr_t)stack_top, reset, halt, halt, halt, halt, halt, 0, 0, 0, 0,
    on_svc, halt, 0, on_pendsv, on_systick, on_interrupt,
};
