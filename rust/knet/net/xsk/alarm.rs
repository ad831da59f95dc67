// SPDX-License-Identifier: GPL-2.0

//! Has a transmit queue look again, at a time when a frame is to be sent.

use super::super::TxQueue;
use core::{
    ptr::null_mut,
    sync::atomic::{AtomicPtr, Ordering},
};
use kernel::{
    impl_has_hr_timer,
    prelude::*,
    sync::{Arc, ArcBorrow},
    time::{
        hrtimer::{
            ArcHrTimerHandle, HrTimer, HrTimerCallback, HrTimerCallbackContext, HrTimerPointer,
            HrTimerRestart, RelativeMode,
        },
        Delta, Monotonic,
    },
};

#[pin_data]
struct Inner {
    #[pin]
    timer: HrTimer<Self>,
    /// Null until it is set.
    queue: AtomicPtr<TxQueue>,
}

impl HrTimerCallback for Inner {
    type Pointer<'a> = Arc<Self>;

    fn run(this: ArcBorrow<'_, Self>, _: HrTimerCallbackContext<'_, Self>) -> HrTimerRestart {
        // SAFETY: By the promise of `Alarm::set`.
        if let Some(queue) = unsafe { this.queue.load(Ordering::Acquire).as_ref() } {
            queue.schedule_poll(|| ());
        }
        HrTimerRestart::NoRestart
    }
}

impl_has_hr_timer! {
    impl HasHrTimer<Self> for Inner {
        mode: RelativeMode<Monotonic>, field: self.timer
    }
}

/// Goes off once, unless it is dropped before.
pub(super) struct Alarm {
    inner: Arc<Inner>,
    set: Option<ArcHrTimerHandle<Inner>>,
}

impl Alarm {
    /// It is not set.
    pub(super) fn new() -> Result<Self> {
        let inner = pin_init!(Inner {
            timer <- HrTimer::new(),
            queue: AtomicPtr::new(null_mut()),
        });
        Ok(Self {
            inner: Arc::pin_init(inner, GFP_KERNEL)?,
            set: None,
        })
    }

    /// It does not go off any more.
    pub(super) fn unset(&mut self) {
        self.set = None;
    }

    /// Has the queue polled, so many nanoseconds from now, and not when it was said before.
    ///
    /// # Safety
    ///
    /// The queue stays for longer than the alarm.
    pub(super) unsafe fn set(&mut self, queue: &TxQueue, after: u64) {
        // This ends what was set before, hence first.
        self.set = None;
        let queue = core::ptr::from_ref(queue).cast_mut();
        self.inner.queue.store(queue, Ordering::Release);
        let after = Delta::from_nanos(after as i64);
        self.set = Some(self.inner.clone().start(after));
    }
}
