"""Runs generated code and firmware images on an emulated Cortex-M: answers, cycles, faults."""
