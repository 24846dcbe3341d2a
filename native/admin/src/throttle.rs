//! Failed logins use up the turns of their address.
//!
//! Of each address five attempts are compared at a time. The first few failures cost nothing: people mistype. After
//! them, each one keeps its turn for a while, up to half a second, whether or not its client is still there: so an
//! address learns of ten wrong guesses a second and no more, however many connections it guesses by. Who is right gives
//! the turn back at once. He waits for those who came before him, and so guessers at the same address (another user of
//! the machine, somebody behind the same proxy) cannot lock him out, as long as they are not too many: so many wait at a
//! time, for so long, and one more is refused. A success forgives failures of the same name, and a minute without any
//! forgives them all.
//!
//! An address is an IPv4 address or an IPv6 network of 64 bits, since whoever has one address of such a
//! network has them all. Those who sit behind one proxy are one address. What is remembered is bounded: of too
//! many addresses the one that failed longest ago is forgotten.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Failures that cost nothing; also, how many attempts of an address are compared at the same time.
const FREE: u32 = 5;

/// For how much longer each further one keeps its turn.
const STEP: Duration = Duration::from_millis(100);

/// The longest that a turn is kept.
const KEPT: Duration = Duration::from_millis(500);

/// Attempts of one address that wait at the same time, after so many failures: those that get a turn in time.
const WAITING: usize = 100;

/// How long an attempt waits for its turn.
const PATIENCE: Duration = Duration::from_secs(11);

/// How long failures are remembered after the last one.
const MEMORY: Duration = Duration::from_secs(60);

/// Addresses that are remembered.
const ADDRESSES: usize = 10_000;

/// Too many attempts of this address wait already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMany;

/// Remembers who failed.
#[derive(Default)]
pub struct Throttle {
    addresses: Mutex<HashMap<IpAddr, Arc<Address>>>,
    /// Names are not kept, only whether two are the same.
    names: RandomState,
}

struct Address {
    /// Attempts that are being compared, or failed a moment ago. Whose turn it is goes by who came first.
    turns: Arc<Semaphore>,
    /// Attempts that wait for a turn although there were many failures.
    places: Semaphore,
    failures: Mutex<Failures>,
}

struct Failures {
    count: u32,
    last: Instant,
    names: Names,
}

/// In whose names attempts failed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Names {
    One(u64),
    /// Somebody tries them out: that one of them succeeds says little.
    Several,
}

impl Throttle {
    /// Runs the check when it is its turn.
    ///
    /// The check answers `Ok(Some(_))` for credentials that are right, `Ok(None)` for wrong ones, and an error
    /// when it could not tell, which counts as neither.
    pub async fn attempt<T, E: From<TooMany>>(
        &self,
        address: IpAddr,
        name: &str,
        check: impl Future<Output = Result<Option<T>, E>>,
    ) -> Result<Option<T>, E> {
        let (address, name) = (network(address), self.names.hash_one(name));
        let known = self.known(address);
        let turn = known.turn().await?;
        let checked = check.await;
        match &checked {
            Ok(Some(_)) => known.failures.lock().succeeded(name),
            Ok(None) => {
                let kept = known.failures.lock().failed(name);
                if !kept.is_zero() {
                    tokio::spawn(async move {
                        tokio::time::sleep(kept).await;
                        drop(turn);
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
        if addresses.len() >= ADDRESSES {
            let oldest = addresses.iter().min_by_key(|(_, known)| known.failures.lock().last);
            if let Some(oldest) = oldest.map(|(address, _)| *address) {
                addresses.remove(&oldest);
            }
        }
        let known = Arc::new(Address::new());
        addresses.insert(address, known.clone());
        known
    }

    /// Keeps no address that failed in nothing, once nobody uses it any more.
    fn forget(&self, address: IpAddr, known: &Arc<Address>) {
        let mut addresses = self.addresses.lock();
        // One is the map's, one the caller's. Under this lock nobody else takes one.
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
        let (turns, places) = (Arc::new(Semaphore::new(FREE as usize)), Semaphore::new(WAITING));
        Address { turns, places, failures: Mutex::new(failures) }
    }

    async fn turn(&self) -> Result<OwnedSemaphorePermit, TooMany> {
        let turn = self.turns.clone().acquire_owned();
        if self.failures.lock().are_few() {
            return turn.await.map_err(|_| TooMany);
        }
        let _place = self.places.try_acquire().map_err(|_| TooMany)?;
        match tokio::time::timeout(PATIENCE, turn).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) | Err(_) => Err(TooMany),
        }
    }
}

impl Failures {
    fn are_few(&mut self) -> bool {
        if self.last.elapsed() > MEMORY {
            self.count = 0;
        }
        self.count <= FREE
    }

    fn succeeded(&mut self, name: u64) {
        if self.names == Names::One(name) {
            self.count = 0;
        }
    }

    /// For how long the turn is kept.
    fn failed(&mut self, name: u64) -> Duration {
        self.names = match self.count {
            0 => Names::One(name),
            _ if self.names == Names::One(name) => self.names,
            _ => Names::Several,
        };
        self.count = self.count.saturating_add(1);
        self.last = Instant::now();
        (STEP * self.count.saturating_sub(FREE)).min(KEPT)
    }
}

/// What stands for an address.
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

    async fn says(throttle: &Throttle, from: IpAddr, name: &str, right: bool) -> Result<Option<()>, TooMany> {
        throttle.attempt(from, name, async { Ok(right.then_some(())) }).await
    }

    /// How long so many wrong guesses take, one after the other.
    async fn guess(throttle: &Throttle, from: IpAddr, times: u32) -> Duration {
        let begin = Instant::now();
        for _ in 0..times {
            assert_eq!(says(throttle, from, "admin", false).await, Ok(None));
        }
        begin.elapsed()
    }

    /// So many that each further one keeps its turn for as long as any does; more of them than there are turns, so that
    /// all turns are kept.
    const MANY: u32 = 3 * FREE;

    #[tokio::test(start_paused = true)]
    async fn the_first_failures_cost_nothing_and_then_a_turn_is_kept_for_longer_and_longer() {
        let throttle = Throttle::default();
        // The last of these wait for nothing yet, but keep their turns.
        assert_eq!(guess(&throttle, HERE, 2 * FREE).await, Duration::ZERO);
        assert!(guess(&throttle, HERE, FREE).await >= KEPT);
        let slow = guess(&throttle, HERE, 100).await;
        assert!(slow >= KEPT * 100 / FREE - KEPT && slow < KEPT * 120 / FREE, "{slow:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn guessing_in_parallel_is_no_faster_nor_is_hanging_up() {
        let throttle = Throttle::default();
        guess(&throttle, HERE, MANY).await;
        let begin = Instant::now();
        let mut told = 0;
        while begin.elapsed() < Duration::from_secs(10) {
            let guesses = join_all((0..50).map(|_| says(&throttle, HERE, "admin", false)));
            // Whoever has waited for so long hangs up, and asks anew.
            if let Ok(guesses) = tokio::time::timeout(Duration::from_secs(1), guesses).await {
                told += guesses.iter().filter(|guess| guess.is_ok()).count();
            }
        }
        assert!(told <= 11 * 10, "{told} guesses were told from others in ten seconds");
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_right_is_never_slowed_however_many_ask_at_once() {
        let throttle = Throttle::default();
        let begin = Instant::now();
        let all = join_all((0..1_000).map(|_| says(&throttle, HERE, "admin", true))).await;
        assert!(all.iter().all(|one| *one == Ok(Some(()))));
        assert_eq!(begin.elapsed(), Duration::ZERO);
        assert!(throttle.addresses.lock().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_right_is_let_in_however_long_others_guess_at_his_address() {
        let throttle = Arc::new(Throttle::default());
        let guessers: Vec<_> = (0..50)
            .map(|_| {
                let throttle = throttle.clone();
                tokio::spawn(async move {
                    loop {
                        let _ = says(&throttle, HERE, "admin", false).await;
                        tokio::task::yield_now().await;
                    }
                })
            })
            .collect();
        tokio::time::sleep(Duration::from_secs(30)).await;
        for _ in 0..10 {
            let begin = Instant::now();
            assert_eq!(says(&throttle, HERE, "admin", true).await, Ok(Some(())));
            assert!(begin.elapsed() <= KEPT * 52 / FREE, "{:?}", begin.elapsed());
        }
        guessers.iter().for_each(|guesser| guesser.abort());
    }

    #[tokio::test(start_paused = true)]
    async fn too_many_are_refused_at_once() {
        let throttle = Throttle::default();
        guess(&throttle, HERE, MANY).await;
        let begin = Instant::now();
        let guesses = join_all((0..1_000).map(|_| says(&throttle, HERE, "admin", false))).await;
        let told = guesses.iter().filter(|guess| guess.is_ok()).count();
        assert!(told <= WAITING + FREE as usize, "{told}");
        assert!(begin.elapsed() <= PATIENCE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_success_forgives_failures_of_its_name() {
        let throttle = Throttle::default();
        guess(&throttle, HERE, MANY).await;
        assert_eq!(says(&throttle, HERE, "admin", true).await, Ok(Some(())));
        tokio::time::advance(KEPT).await;
        assert_eq!(guess(&throttle, HERE, 2 * FREE).await, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn who_knows_one_password_cannot_guess_another_for_nothing() {
        let throttle = Throttle::default();
        guess(&throttle, HERE, MANY).await;
        says(&throttle, HERE, "admin@own.example", false).await.ok();
        says(&throttle, HERE, "admin@own.example", true).await.ok();
        assert!(guess(&throttle, HERE, FREE + 1).await > Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_minute_without_a_failure_forgives_all() {
        let throttle = Throttle::default();
        guess(&throttle, HERE, MANY).await;
        tokio::time::sleep(MEMORY + STEP).await;
        assert_eq!(guess(&throttle, HERE, 2 * FREE).await, Duration::ZERO);
        assert!(guess(&throttle, HERE, FREE).await > Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_check_that_cannot_tell_counts_as_nothing() {
        let throttle = Throttle::default();
        for _ in 0..20 {
            let told: Result<Option<()>, TooMany> = throttle.attempt(HERE, "admin", async { Err(TooMany) }).await;
            assert_eq!(told, Err(TooMany));
        }
        assert_eq!(guess(&throttle, HERE, 2 * FREE).await, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_network_of_64_bits_is_one_address_and_another_address_another() {
        let throttle = Throttle::default();
        let address = |text: &str| text.parse::<IpAddr>().expect("the addresses below are written right");
        guess(&throttle, address("2001:db8::1"), 2 * FREE).await;
        assert!(guess(&throttle, address("2001:db8::ffff:2"), 1).await > Duration::ZERO);
        assert_eq!(guess(&throttle, address("2001:db8:0:1::1"), 1).await, Duration::ZERO);
        guess(&throttle, address("192.0.2.1"), 2 * FREE).await;
        assert!(guess(&throttle, address("::ffff:192.0.2.1"), 1).await > Duration::ZERO);
        assert_eq!(guess(&throttle, address("192.0.2.2"), 1).await, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn of_too_many_addresses_the_oldest_is_forgotten() {
        let throttle = Throttle::default();
        guess(&throttle, HERE, 2 * FREE).await;
        tokio::time::advance(Duration::from_millis(1)).await;
        for number in 0..ADDRESSES as u32 {
            guess(&throttle, Ipv4Addr::from(0x0a00_0000 + number).into(), 1).await;
        }
        assert_eq!(throttle.addresses.lock().len(), ADDRESSES);
        assert_eq!(guess(&throttle, HERE, 1).await, Duration::ZERO);
    }
}
