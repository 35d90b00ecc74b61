import StillModel
import Testing

/// Texts of `/proc/PID/cgroup` as machines have them.
@Suite struct ServiceUnitTests {
  @Test(
    "A server that systemd runs is in the group of its unit",
    arguments: [
      (
        "0::/system.slice/system-postgresql.slice/postgresql@15-main.service\n",
        "postgresql@15-main.service"
      ),
      ("0::/system.slice/postgresql-16.service\n", "postgresql-16.service"),
      (
        """
        12:pids:/system.slice/postgresql-13.service
        2:cpu,cpuacct:/
        1:name=systemd:/system.slice/postgresql-13.service
        0::/system.slice/postgresql-13.service

        """, "postgresql-13.service"
      ),
      (
        "0::/system.slice/system-postgresql.slice/postgresql@15-a\\x2db.service\n",
        "postgresql@15-a\\x2db.service"
      ),
    ])
  func isFound(_ text: String, _ unit: String) {
    #expect(ServiceUnit.named(inControlGroups: text) == unit)
  }

  @Test(
    "A session, a user's own service, a container and a group below a unit are no unit",
    arguments: [
      "0::/user.slice/user-1000.slice/session-3.scope\n",
      "0::/user.slice/user-1000.slice/user@1000.service/app.slice/postgres.service\n",
      "0::/user.slice/user-1000.slice/user@1000.service\n",
      "0::/system.slice/docker-0123456789abcdef.scope\n",
      "0::/system.slice/containerd.service/kubepods-burstable/0123\n",
      "0::/\n",
      "9:name=systemd:/\n0::/system.slice/postgresql.service\n",
      "",
      "nonsense",
    ])
  func isNotFound(_ text: String) {
    #expect(ServiceUnit.named(inControlGroups: text) == nil)
  }

  @Test("A service of a user's own systemd is told from its sessions and from root's services")
  func usersOwn() {
    let own = "0::/user.slice/user-1000.slice/user@1000.service/app.slice/postgres.service\n"
    #expect(ServiceUnit.usersOwn(inControlGroups: own) == "postgres.service")
    for text in [
      "0::/user.slice/user-1000.slice/user@1000.service\n",
      "0::/user.slice/user-1000.slice/user@1000.service/app.slice/tmux-spawn-1.scope\n",
      "0::/user.slice/user-1000.slice/session-3.scope\n",
      "0::/system.slice/postgresql.service\n", "",
    ] {
      #expect(ServiceUnit.usersOwn(inControlGroups: text) == nil, "\(text)")
    }
  }

  @Test(
    "Nothing else than a service's name reaches systemctl",
    arguments: [
      "--root=/tmp.service", "a b.service", "a;b.service", "a\nb.service", ".service", "a.scope",
      "$(x).service", "a/b.service", ".a.service",
    ])
  func validNames(_ name: String) {
    #expect(!ServiceUnit.isValid(name))
  }
}
