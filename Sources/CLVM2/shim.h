#pragma once
#include <lvm2cmd.h>
