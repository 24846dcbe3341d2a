//! Slows password guessing down: failed logins use up the permits of their address.
//!
//! For each address five attempts are compared at a time. The first few failures cost nothing, because people mistype.
//! After them, each failure holds its permit for a while, up to half a second, even if the client disconnects. So an
//! address learns about ten wrong guesses a second at most, however many connections it uses. A correct attempt returns
//! its permit at once; it waits for the attempts before it, so guessers at the same address (another user of the
//! machine, another client of the same proxy) do not lock it out, as long as they are not too many: the queue of an
//! address is bounded. A success forgives failures with the same user name, and a minute without a failure forgives
//! all.
//!
//! An address is an IPv4 address or an IPv6 network of 64 bits, because a client with one address of such a network has
//! them all. Clients behind one proxy share an address. The number of addresses is bounded: when it is reached, the
//! address whose last failure is oldest is forgotten.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Failures that cost nothing; also, how many attempts of an address are compared at the same time.
const FREE_FAILURES: u32 = 5;

/// By how much longer each further failure holds its permit.
const HOLD_STEP: Duration = Duration::from_millis(100);

/// The longest time that a failure holds its permit.
const MAX_HOLD: Duration = Duration::from_millis(500);

/// The most attempts of an address that wait, after its free failures: as many as get a permit in time.
const MAX_WAITING: usize = 100;

/// How long an attempt waits for a permit.
const WAIT_TIMEOUT: Duration = Duration::from_secs(11);

/// How long failures are remembered after the last one.
const FORGET_AFTER: Duration = Duration::from_secs(60);

/// The most addresses that are remembered.
const MAX_ADDRESSES: usize = 10_000;

/// Too many attempts of this address wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMany;

/// Remembers failures by address.
#[derive(Default)]
pub struct Throttle {
    addresses: Mutex<HashMap<IpAddr, Arc<Address>>>,
    /// Hashes user names, so that none is stored.
    names: RandomState,
}

struct Address {
    /// Held by attempts that are being compared, and by recent failures. Handed out in order of arrival.
    permits: Arc<Semaphore>,
    /// Bounds the attempts that wait.
    waiting: Semaphore,
    failures: Mutex<Failures>,
}

struct Failures {
    count: u32,
    last: Instant,
    names: Names,
}

/// The user names of the failed attempts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Names {
    One(u64),
    /// Several names: a success with one of them proves little.
    Several,
}

impl Throttle {
    /// Runs the check when it gets a permit.
    ///
    /// The check returns `Ok(Some(_))` for right credentials, `Ok(None)` for wrong ones, and an error where it could
    /// not compare them, which counts as neither.
    pub async fn attempt<T, E: From<TooMany>>(
        &self,
        address: IpAddr,
        name: &str,
        check: impl Future<Output = Result<Option<T>, E>>,
    ) -> Result<Option<T>, E> {
        let (address, name) = (network(address), self.names.hash_one(name));
        let known = self.known(address);
        let permit = known.acquire().await?;
        let checked = check.await;
        match &checked {
            Ok(Some(_)) => known.failures.lock().succeeded(name),
            Ok(None) => {
                let hold = known.failures.lock().failed(name);
                if !hold.is_zero() {
                    tokio::spawn(async move {
                        tokio::time::sleep(hold).await;
                        drop(permit);
                    });
                }
            }
            Err(_) => {}
        }
        self.forget(address, &known);
        checked
    }

    fn known(&self, address: IpAddr) -> Arc<Address> {
        let mut addresses = self.addresses.lock();
        if let Some(known) = addresses.get(&address) {
            return known.clone();
        }
        if addresses.len() >= MAX_ADDRESSES {
            let oldest = addresses.iter().min_by_key(|(_, known)| known.failures.lock().last);
            if let Some(oldest) = oldest.map(|(address, _)| *address) {
                addresses.remove(&oldest);
            }
        }
        let known = Arc::new(Address::new());
        addresses.insert(address, known.clone());
        known
    }

    /// Removes an address without failures when no attempt uses it any more.
    fn forget(&self, address: IpAddr, known: &Arc<Address>) {
        let mut addresses = self.addresses.lock();
        // One reference is the map's, one the caller's; under this lock no other is made.
        if Arc::strong_count(known) == 2
            && known.failures.lock().count == 0
            && addresses.get(&address).is_some_and(|kept| Arc::ptr_eq(kept, known))
        {
            addresses.remove(&address);
        }
    }
}

impl Address {
    fn new() -> Address {
        let failures = Failures { count: 0, last: Instant::now(), names: Names::Several };
        let (permits, waiting) = (Arc::new(Semaphore::new(FREE_FAILURES as usize)), Semaphore::new(MAX_WAITING));
        Address { permits, waiting, failures: Mutex::new(failures) }
    }

    async fn acquire(&self) -> Result<OwnedSemaphorePermit, TooMany> {
        let permit = self.permits.clone().acquire_owned();
        if self.failures.lock().are_few() {
            return permit.await.map_err(|_| TooMany);
        }
        let _waiting = self.waiting.try_acquire().map_err(|_| TooMany)?;
        match tokio::time::timeout(WAIT_TIMEOUT, permit).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(TooMany),
        }
    }
}

impl Failures {
    fn are_few(&mut self) -> bool {
        if self.last.elapsed() > FORGET_AFTER {
            self.count = 0;
        }
        self.count <= FREE_FAILURES
    }

    fn succeeded(&mut self, name: u64) {
        if self.names == Names::One(name) {
            self.count = 0;
        }
    }

    /// Counts a failure; returns for how long it holds its permit.
    fn failed(&mut self, name: u64) -> Duration {
        self.names = match self.count {
            0 => Names::One(name),
            _ if self.names == Names::One(name) => self.names,
            _ => Names::Several,
        };
        self.count = self.count.saturating_add(1);
        self.last = Instant::now();
        (HOLD_STEP * self.count.saturating_sub(FREE_FAILURES)).min(MAX_HOLD)
    }
}

/// The address, or the network, that is throttled.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use futures_util::future::join_all;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    async fn attempt(throttle: &Throttle, from: IpAddr, name: &str, right: bool) -> Result<Option<()>, TooMany> {
        throttle.attempt(from, name, async { Ok(right.then_some(())) }).await
    }

    /// How long so many wrong guesses take, one after the other.
    async fn guess(throttle: &Throttle, from: IpAddr, times: u32) -> Duration {
        let begin = Instant::now();
        for _ in 0..times {
            assert_eq!(attempt(throttle, from, "admin", false).await, Ok(None));
        }
        begin.elapsed()
    }

    /// So many failures that each further one holds its permit for the longest time, and that all permits are held.
    const MANY: u32 = 3 * FREE_FAILURES;

    #[tokio::test(start_paused = true)]
    async fn the_first_failures_cost_nothing_and_further_ones_hold_permits_longer_and_longer() {
        let throttle = Throttle::default();
        // The last of these do not wait yet, but hold their permits.
        assert_eq!(guess(&throttle, HERE, 2 * FREE_FAILURES).await, Duration::ZERO);
        assert!(guess(&throttle, HERE, FREE_FAILURES).await >= MAX_HOLD);
        let slow = guess(&throttle, HERE, 100).await;
        assert!(slow >= MAX_HOLD * 100 / FREE_FAILURES - MAX_HOLD && slow < MAX_HOLD * 120 / FREE_FAILURES, "{slow:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn guessing_in_parallel_is_no_faster_nor_is_hanging_up() {
        let throttle = Throttle::default();
        guess(&throttle, HERE, MANY).await;
        let begin = Instant::now();
        let mut answered = 0;
        while begin.elapsed() < Duration::from_secs(10) {
            let guesses = join_all((0..50).map(|_| attempt(&throttle, HERE, "admin", false)));
            // A client that has waited for so long disconnects and tries again.
            if let Ok(guesses) = tokio::time::timeout(Duration::from_secs(1), guesses).await {
                answered += guesses.iter().filter(|guess| guess.is_ok()).count();
            }
        }
        assert!(answered <= 11 * 10, "{answered} guesses were answered in ten seconds");
    }

    #[tokio::test(start_paused = true)]
    async fn correct_attempts_are_never_slowed_down() {
        let throttle = Throttle::default();
        let begin = Instant::now();
        let all = join_all((0..1_000).map(|_| attempt(&throttle, HERE, "admin", true))).await;
        assert!(all.iter().all(|one| *one == Ok(Some(()))));
        assert_eq!(begin.elapsed(), Duration::ZERO);
        assert!(throttle.addresses.lock().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_correct_attempt_succeeds_however_long_others_guess_at_its_address() {
        let throttle = Arc::new(Throttle::default());
        let guessers: Vec<_> = (0..50)
            .map(|_| {
                let throttle = throttle.clone();
                tokio::spawn(async move {
                    loop {
                        let _ = attempt(&throttle, HERE, "admin", false).await;
                        tokio::task::yield_now().await;
                    }
                })
            })
            .collect();
        tokio::time::sleep(Duration::from_secs(30)).await;
        for _ in 0..10 {
            let begin = Instant::now();
            assert_eq!(attempt(&throttle, HERE, "admin", true).await, Ok(Some(())));
            assert!(begin.elapsed() <= MAX_HOLD * 52 / FREE_FAILURES, "{:?}", begin.elapsed());
        }
        guessers.iter().for_each(|guesser| guesser.abort());
    }

    #[tokio::test(start_paused = true)]
    async fn too_many_are_refused_at_once() {
        let throttle = Throttle::default();
        guess(&throttle, HERE, MANY).await;
        let begin = Instant::now();
        let guesses = join_all((0..1_000).map(|_| attempt(&throttle, HERE, "admin", false))).await;
        let answered = guesses.iter().filter(|guess| guess.is_ok()).count();
        assert!(answered <= MAX_WAITING + FREE_FAILURES as usize, "{answered}");
        assert!(begin.elapsed() <= WAIT_TIMEOUT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_success_forgives_failures_of_its_name() {
        let throttle = Throttle::default();
        guess(&throttle, HERE, MANY).await;
        assert_eq!(attempt(&throttle, HERE, "admin", true).await, Ok(Some(())));
        tokio::time::advance(MAX_HOLD).await;
        assert_eq!(guess(&throttle, HERE, 2 * FREE_FAILURES).await, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn one_known_password_does_not_speed_up_guessing_another() {
        let throttle = Throttle::default();
        guess(&throttle, HERE, MANY).await;
        attempt(&throttle, HERE, "admin@own.example", false).await.ok();
        attempt(&throttle, HERE, "admin@own.example", true).await.ok();
        assert!(guess(&throttle, HERE, FREE_FAILURES + 1).await > Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_minute_without_a_failure_forgives_all() {
        let throttle = Throttle::default();
        guess(&throttle, HERE, MANY).await;
        tokio::time::sleep(FORGET_AFTER + HOLD_STEP).await;
        assert_eq!(guess(&throttle, HERE, 2 * FREE_FAILURES).await, Duration::ZERO);
        assert!(guess(&throttle, HERE, FREE_FAILURES).await > Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_check_that_could_not_compare_does_not_count() {
        let throttle = Throttle::default();
        for _ in 0..20 {
            let checked: Result<Option<()>, TooMany> = throttle.attempt(HERE, "admin", async { Err(TooMany) }).await;
            assert_eq!(checked, Err(TooMany));
        }
        assert_eq!(guess(&throttle, HERE, 2 * FREE_FAILURES).await, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_network_of_64_bits_is_one_address_and_another_address_another() {
        let throttle = Throttle::default();
        let address = |text: &str| text.parse::<IpAddr>().expect("the addresses below are written right");
        guess(&throttle, address("2001:db8::1"), 2 * FREE_FAILURES).await;
        assert!(guess(&throttle, address("2001:db8::ffff:2"), 1).await > Duration::ZERO);
        assert_eq!(guess(&throttle, address("2001:db8:0:1::1"), 1).await, Duration::ZERO);
        guess(&throttle, address("192.0.2.1"), 2 * FREE_FAILURES).await;
        assert!(guess(&throttle, address("::ffff:192.0.2.1"), 1).await > Duration::ZERO);
        assert_eq!(guess(&throttle, address("192.0.2.2"), 1).await, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn of_too_many_addresses_the_oldest_is_forgotten() {
        let throttle = Throttle::default();
        guess(&throttle, HERE, 2 * FREE_FAILURES).await;
        tokio::time::advance(Duration::from_millis(1)).await;
        for number in 0..MAX_ADDRESSES as u32 {
            guess(&throttle, Ipv4Addr::from(0x0a00_0000 + number).into(), 1).await;
        }
        assert_eq!(throttle.addresses.lock().len(), MAX_ADDRESSES);
        assert_eq!(guess(&throttle, HERE, 1).await, Duration::ZERO);
    }
}
