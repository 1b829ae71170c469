/*
 * emulated.h - what a test asks of the emulated devices; names of libpawl_cuda_emulated.so, found by dlsym.
 */
#ifndef TEST_EMULATED_H
#define TEST_EMULATED_H

#ifdef __cplusplus
extern "C" {
#endif

typedef struct emulated_control {
    /** So many devices, each fresh. */
    void (*devices)(int count);
    /** From now on the call number nth (1: the next) fails; 0: none. lost: and so does every later one on that device. */
    void (*fail_at)(unsigned long nth, int lost);
    /** How many calls there were since then. */
    unsigned long (*calls)(void);
    /** Whether the call that was to fail came. */
    int (*failed)(void);
    /** How many graphs were launched, and kernels run, since the beginning. */
    unsigned long (*graphs)(void);
    unsigned long (*kernels)(void);
    /** Bytes that a device has for cudaMalloc, all together; 0: no bound. */
    void (*memory)(unsigned long bytes);
} emulated_control;

#define EMULATED_ENTRY "emulated_control_get"
const emulated_control *emulated_control_get(void);

#ifdef __cplusplus
}
#endif
#endif
