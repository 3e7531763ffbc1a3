// Command troth is the security layer of a multi-tenant online service: it
// stands in front of an application, keeps the promises that such a service's
// security page makes, and proves them in public. All of it is in package app;
// this file only hands over the process's arguments and streams.
package main

import (
	"os"

	"troth/internal/app"
)

func main() {
	os.Exit(app.Main())
}
