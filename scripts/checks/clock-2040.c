/* The wall clock of a 32-bit musl program that starts on 2040-03-04 05:06:07 UTC, a Sunday. Linked before the C library, this
   takes the place of its own (weak) symbol, which its older interface calls too; so that one fails as it will in 2040. */

struct time { long long seconds; int nanoseconds, padding; };
struct kernel_time { long long seconds, nanoseconds; };

int __clock_gettime64(int clock, struct time *time)
{
    static const int CLOCK_GETTIME64 = 403, WALL = 0;
    static const long long START = 2214450367;
    static long long offset;
    struct kernel_time now;
    int result;

    __asm__ volatile("int $0x80" : "=a"(result) : "a"(CLOCK_GETTIME64), "b"(clock), "c"(&now) : "memory");
    if (result < 0)
        return -1;
    if (clock == WALL) {
        if (offset == 0)
            offset = START - now.seconds;
        now.seconds += offset;
    }
    time->seconds = now.seconds;
    time->nanoseconds = (int)now.nanoseconds;
    return 0;
}
