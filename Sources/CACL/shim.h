#pragma once
#include <acl/libacl.h>
#include <sys/acl.h>
#include <sys/xattr.h>
