//! Walls of machines that are made up of files, and the room that they leave.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::{Carried, Demand, Full, Height, Kind, Rlimits, Room, Sandbox, Wall, Walls};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// A machine that is made up of files.
struct Machine(TempDir);

impl Machine {
    fn new(files: &[(&str, &str)]) -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        for (file, text) in files {
            machine.write(file, text);
        }
        machine
    }

    /// One with a number of everything, and in a control group.
    fn whole() -> Self {
        Self::new(&[
            ("proc/sys/vm/max_map_count", "65530\n"),
            ("proc/self/maps", "one\ntwo\nthree\n"),
            ("proc/self/status", "Name:\ttorsade\nVmSize:\t   2048 kB\nVmData:\t     100 kB\n"),
            ("proc/self/fd/0", ""),
            ("proc/self/fd/1", ""),
            ("proc/meminfo", "MemTotal:  1048576 kB\nMemFree:  1 kB\nMemAvailable:  786432 kB\n"),
            ("proc/self/cgroup", "0::/system.slice/torsade.service\n"),
            ("sys/fs/cgroup/system.slice/torsade.service/memory.max", "max\n"),
            ("sys/fs/cgroup/system.slice/memory.max", "536870912\n"),
            ("sys/fs/cgroup/system.slice/memory.current", "314572800\n"),
            ("sys/fs/cgroup/system.slice/memory.stat", "anon 5\ninactive_file 209715200\n"),
        ])
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn path(&self) -> PathBuf {
        self.0.path().to_owned()
    }

    fn walls(&self) -> Walls {
        Walls::read_below(&self.path(), &limits())
    }

    fn cgroup(&self) -> Wall {
        self.walls().wall(Kind::Cgroup).unwrap().clone()
    }

    fn room(&self, descriptors: u64, carried: Carried) -> Room {
        Room::within_below(&self.path(), limits(), self.walls(), descriptors, carried)
    }
}

fn limits() -> Rlimits {
    Rlimits {
        address_space: Height::At(4 * GIB),
        data: Height::Endless,
        descriptors: Height::At(256),
        descriptors_soft: Height::At(64),
    }
}

const ALL: Carried = Carried { pooled: 0, on_demand: 0, held_by: None };

#[test]
fn every_wall_is_read_with_what_is_used() {
    let walls = Machine::whole().walls();
    let seen = |kind| {
        let wall = walls.wall(kind).unwrap();
        (wall.height, wall.used)
    };
    assert_eq!(seen(Kind::Descriptors), (Height::At(256), Some(2)));
    assert_eq!(walls.descriptors_soft, Height::At(64));
    assert_eq!(seen(Kind::Mappings), (Height::At(65_530), Some(3)));
    assert_eq!(seen(Kind::AddressSpace), (Height::At(4 * GIB), Some(2 * MIB)));
    assert_eq!(seen(Kind::Machine), (Height::At(GIB), Some(256 * MIB)));
    assert_eq!(seen(Kind::Cgroup), (Height::At(512 * MIB), Some(100 * MIB)));
    assert_eq!(seen(Kind::Data), (Height::Endless, None));
    assert_eq!(walls.nearest_memory().unwrap().kind, Kind::Cgroup);
}

#[test]
fn a_wall_that_cannot_be_read_is_unknown_and_in_nobodys_way() {
    let walls = Machine::new(&[]).walls();
    for kind in [Kind::Cgroup, Kind::Machine, Kind::Mappings] {
        let wall = walls.wall(kind).unwrap();
        assert_eq!((wall.height, wall.used, wall.free()), (Height::Unknown, None, None), "{kind}");
    }
    let wanted = Demand { count: 9, mappings: u64::MAX, ..Demand::default() };
    let nothing = Demand::default();
    assert_eq!(walls.carry(&wanted, &nothing), Carried { pooled: 9, ..ALL });
}

#[test]
fn odd_contents_are_unknown() {
    let odd = ["", "\n", "-1", "1e9", "99999999999999999999999", "\u{0}", "4096 kB", ":::", "max:"];
    for text in odd {
        let machine = Machine::new(&[
            ("proc/sys/vm/max_map_count", text),
            ("proc/self/status", &format!("VmSize:{text}\nVmSize\n")),
            ("proc/meminfo", &format!("MemTotal:{text}x\nMemAvailable: 1 kB\n")),
            ("proc/self/cgroup", &format!("{text}\n0::/{text}\n0:memory\n0::../..\n::\n")),
            ("sys/fs/cgroup/memory.max", text),
        ]);
        let walls = machine.walls();
        for kind in [Kind::Machine, Kind::Mappings, Kind::Cgroup] {
            assert_eq!(walls.wall(kind).unwrap().height, Height::Unknown, "{kind} {text:?}");
        }
    }
    let machine = Machine::new(&[]);
    for file in ["proc/sys/vm/max_map_count", "proc/meminfo", "proc/self/cgroup"] {
        let path = machine.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, [0xff, 0xfe, 0]).unwrap();
    }
    assert_eq!(machine.walls().mappings.height, Height::Unknown);
}

#[test]
fn of_the_control_groups_around_it_the_nearest_wall_counts() {
    let machine = Machine::whole();
    assert!(machine.cgroup().file.unwrap().ends_with("system.slice/memory.max"));
    // Own, and softer, but nearer.
    let own = "sys/fs/cgroup/system.slice/torsade.service";
    machine.write(&format!("{own}/memory.high"), "20971520");
    machine.write(&format!("{own}/memory.current"), "10485760");
    let wall = machine.cgroup();
    assert_eq!((wall.height, wall.left()), (Height::At(20 * MIB), Some(10 * MIB)));
    let file = wall.file.clone().unwrap();
    assert!(file.ends_with("torsade.service/memory.high"));
    let remedy = wall.remedy(40 * MIB);
    assert_eq!(
        remedy,
        format!("echo 41943040 > {}, or MemoryMax=41943040 in systemd's unit", file.display())
    );
}

#[test]
fn control_groups_of_version_1_are_read_too() {
    let machine = Machine::new(&[
        ("proc/self/cgroup", "5:cpu,cpuacct:/other\n4:memory:/box\n0::/\n"),
        ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
        ("sys/fs/cgroup/memory/box/memory.limit_in_bytes", "104857600\n"),
        ("sys/fs/cgroup/memory/box/memory.usage_in_bytes", "73400320\n"),
        ("sys/fs/cgroup/memory/box/memory.stat", "inactive_file 1\ntotal_inactive_file 20971520\n"),
    ]);
    let wall = machine.cgroup();
    assert_eq!((wall.height, wall.used), (Height::At(100 * MIB), Some(50 * MIB)));
    machine.write("sys/fs/cgroup/memory/box/memory.limit_in_bytes", "9223372036854771712\n");
    assert_eq!(machine.cgroup().height, Height::Endless);
}

#[test]
fn a_container_that_sees_its_own_group_as_the_root_is_found() {
    let machine = Machine::new(&[
        ("proc/self/cgroup", "0::/docker/0123abcd\n"),
        ("sys/fs/cgroup/memory.max", "104857600\n"),
        ("sys/fs/cgroup/memory.current", "1048576\n"),
    ]);
    assert_eq!(machine.cgroup().left(), Some(99 * MIB));
}

#[test]
fn sandboxes_are_as_many_as_the_lowest_wall_carries() {
    let machine = Machine::whole();
    let one = Demand { count: 1, mappings: 4, address_space: 16 * MIB, data: 0 };
    let wanted = one.times(20_000);
    let carried = machine.walls().carry(&wanted, &Demand::default());
    // 4 GiB without the 2 MiB that are used, and without 1 GiB in reserve.
    assert_eq!(carried, Carried { pooled: 191, on_demand: 0, held_by: Some(Kind::AddressSpace) });

    let endless = Rlimits { address_space: Height::Endless, ..limits() };
    let walls = Walls::read_below(&machine.path(), &endless);
    let carried = walls.carry(&wanted, &Demand::default());
    assert_eq!(carried, Carried { pooled: 15_881, on_demand: 0, held_by: Some(Kind::Mappings) });
    let enough = walls.mappings.enough_for(wanted.mappings);
    machine.write("proc/sys/vm/max_map_count", &enough.to_string());
    let walls = Walls::read_below(&machine.path(), &endless);
    assert_eq!(walls.carry(&wanted, &Demand::default()).held_by, None);
}

#[test]
fn what_does_not_fit_is_shared_out() {
    let machine = Machine::whole();
    machine.write("proc/sys/vm/max_map_count", "10003");
    let one = Demand { count: 1, mappings: 4, ..Demand::default() };
    for (wanted, pooled, on_demand) in
        [((3000, 1000), 1000, 1000), ((3000, 4), 1996, 4), ((4, 3000), 4, 1996)]
    {
        let carried = machine.walls().carry(&one.times(wanted.0), &one.times(wanted.1));
        let held_by = Some(Kind::Mappings);
        assert_eq!(carried, Carried { pooled, on_demand, held_by }, "{wanted:?}");
    }
    machine.write("proc/sys/vm/max_map_count", "1");
    let carried = machine.walls().carry(&one.times(3000), &Demand::default());
    assert_eq!((carried.pooled, carried.on_demand), (1, 0));
}

#[test]
fn descriptors_are_taken_up_to_the_reserve_and_given_back() {
    let machine = Machine::whole();
    let (room, now) = (machine.room(10, ALL), Instant::now());
    let take = |room: &Room| {
        let claims = std::iter::from_fn(|| room.take_descriptor(now).ok());
        claims.collect::<Vec<_>>()
    };
    // 256 without 2 that are open, 64 in reserve and 10 that are expected.
    let mut claims = take(&room);
    assert_eq!(claims.len(), 180);
    assert_eq!(room.take_descriptor(now).err(), Some(Full(Kind::Descriptors)));
    claims.truncate(170);
    let other = room.clone();
    assert_eq!(take(&other).len(), 10);
}

#[test]
fn without_walls_there_is_always_room() {
    let (room, now) = (Room::endless(), Instant::now());
    let claims: Vec<_> = (0..1000).map_while(|_| room.take_descriptor(now).ok()).collect();
    assert_eq!(claims.len(), 1000);
    assert!(room.take_sandbox(Sandbox::OnDemand, now).is_ok());
}

#[test]
fn sandboxes_are_taken_up_to_what_is_carried() {
    let machine = Machine::whole();
    let carried = Carried { pooled: 2, on_demand: 1, held_by: Some(Kind::AddressSpace) };
    let (room, now) = (machine.room(0, carried), Instant::now());
    let full = Some(Full(Kind::AddressSpace));
    let pooled = [(); 2].map(|()| room.take_sandbox(Sandbox::Pooled, now).unwrap());
    assert_eq!(room.has_sandbox(Sandbox::Pooled, now).err(), full);
    assert_eq!(room.take_sandbox(Sandbox::Pooled, now).err(), full);
    let alone = room.take_sandbox(Sandbox::OnDemand, now).unwrap();
    assert_eq!(room.take_sandbox(Sandbox::OnDemand, now).err(), full);
    drop((pooled, alone));
    assert!(room.has_sandbox(Sandbox::Pooled, now).is_ok());
    assert!(room.take_sandbox(Sandbox::OnDemand, now).is_ok());
}

#[test]
fn no_sandbox_is_made_while_memory_is_short() {
    let machine = Machine::whole();
    let (room, start) = (machine.room(0, ALL), Instant::now());
    let take = |millis| {
        let now = start + Duration::from_millis(millis);
        room.take_sandbox(Sandbox::Pooled, now).map(drop)
    };
    assert_eq!(take(0), Ok(()));
    machine.write("sys/fs/cgroup/system.slice/memory.current", "736870912\n");
    // It isn't looked at for every sandbox.
    assert_eq!(take(99), Ok(()));
    assert_eq!(take(100), Err(Full(Kind::Cgroup)));
    machine.write("sys/fs/cgroup/system.slice/memory.current", "236870912\n");
    assert_eq!(take(150), Err(Full(Kind::Cgroup)));
    assert_eq!(take(200), Ok(()));
    machine.write("proc/meminfo", "MemTotal:  1048576 kB\nMemAvailable:  100 kB\n");
    assert_eq!(take(300), Err(Full(Kind::Machine)));
}

#[test]
fn the_log_is_told_of_a_wall_once_a_minute() {
    let machine = Machine::whole();
    let (room, start) = (machine.room(0, ALL), Instant::now());
    let tell = |kind, seconds| room.tell(Full(kind), start + Duration::from_secs(seconds));
    let words = tell(Kind::Descriptors, 0).unwrap();
    assert_eq!(
        words,
        "the wall is nofile (256); to raise it: ulimit -n 512, or LimitNOFILE=512 in systemd's unit"
    );
    assert_eq!(tell(Kind::Descriptors, 59), None);
    let words = tell(Kind::Mappings, 59).unwrap();
    assert!(words.ends_with("(65530); to raise it: sysctl -w vm.max_map_count=131060"), "{words}");
    assert!(tell(Kind::Descriptors, 60).is_some());
    machine.write("proc/sys/fs/file-max", "1000\n");
    let words = tell(Kind::SystemDescriptors, 60).unwrap();
    assert!(words.ends_with("sysctl -w fs.file-max=2000"), "{words}");
}

#[test]
fn what_others_open_leaves_less_to_connections() {
    let root = Path::new("/");
    let (told, counted) =
        (super::read::descriptors_at_once(root).unwrap(), super::read::descriptors(root).unwrap());
    // Kernels before 6.2 don't tell.
    if told.abs_diff(counted) > 50 {
        return;
    }
    let high = Rlimits { descriptors: Height::At(1000), ..limits() };
    let walls = Walls::read_below(root, &high);
    let (room, start) = (Room::within_below(root, high, walls, 0, ALL), Instant::now());
    let open: Vec<File> = (0..400).map(|_| File::open("/dev/null").unwrap()).collect();
    let later = start + Duration::from_secs(1);
    let left =
        |now| std::iter::from_fn(|| room.take_descriptor(now).ok()).collect::<Vec<_>>().len();
    // Other tests open some, too.
    let fewer = left(later);
    assert!(fewer < 600, "{fewer}");
    drop(open);
    let all = left(later + Duration::from_secs(1));
    assert!(all > fewer + 200, "{fewer}, {all}");
}

#[test]
fn the_walls_of_this_machine_are_known() {
    let walls = Walls::read();
    for wall in [&walls.descriptors, &walls.mappings, &walls.memory[0]] {
        assert!(matches!(wall.height, Height::At(1..)), "{wall:?}");
        assert!(wall.used.is_some_and(|used| used > 0), "{wall:?}");
    }
}
