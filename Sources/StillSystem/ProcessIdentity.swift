import Glibc

/// Who this process is for the kernel.
public enum ProcessIdentity {
  /// May do what only root may.
  public static var isRoot: Bool { geteuid() == 0 }
}
