//! Clocks: wall time, and CPU time of a thread or of the process.
//!
//! A one-thread row counts the CPU time of its thread, which another load on the machine hardly
//! moves. A row on all threads counts wall time, or, where the machine is loaded, CPU time of the
//! process: then both sides are compared by what they cost, not by how well they ran side by side.

/// What a row's seconds are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// Elapsed time.
    Wall,
    /// CPU time of the calling thread.
    Thread,
    /// CPU time of all threads of the process.
    Process,
}

impl Clock {
    /// Seconds that `work` takes.
    pub fn time(self, work: impl FnOnce()) -> f64 {
        let start = self.now();
        work();
        self.now() - start
    }
}

#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
impl Clock {
    fn now(self) -> f64 {
        #[repr(C)]
        #[derive(Default)]
        struct Timespec {
            seconds: i64,
            nanoseconds: i64,
        }
        unsafe extern "C" {
            fn clock_gettime(clock: i32, time: *mut Timespec) -> i32;
        }
        let (monotonic, process, thread) = (1, 2, 3);
        let clock = match self {
            Self::Wall => monotonic,
            Self::Process => process,
            Self::Thread => thread,
        };
        let mut time = Timespec::default();
        // SAFETY: the signature and the layout are those of Linux on 64 bits, where the standard
        // library links the C library; `time` is writable.
        let status = unsafe { clock_gettime(clock, &mut time) };
        assert_eq!(status, 0, "clock_gettime({clock})");
        time.seconds as f64 + 1e-9 * time.nanoseconds as f64
    }
}

#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
impl Clock {
    /// Elapsed time stands in for all clocks where their numbers are not known.
    fn now(self) -> f64 {
        static START: std::sync::LazyLock<std::time::Instant> =
            std::sync::LazyLock::new(std::time::Instant::now);
        START.elapsed().as_secs_f64()
    }
}
