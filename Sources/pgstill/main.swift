import StillCommands
import StillSystem

Process.exit(Pgstill.runProcess())
